"""How likely a model finds answers, each behind its own prompt.

Shapes: C answers, S slots of the line in which they and their prompts stand.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from operators.examples.base import Example, NoExample
from operators.examples.prompting import Prompting, PromptingConfig, Tokens
from operators.select.measure.base import FORWARD_FAILED, NO_TARGET, ModelConfig
from operators.select.measure.reading.line import Context, following, lined_up
from operators.select.measure.reading.local_model import LocalModel

ANSWER = "answer"


@dataclass(frozen=True)
class AnswerLosses:
    """Of each answer (C): the sum of its tokens' losses in nats, float64, their number, and why there is none, or None."""

    losses_C: np.ndarray
    tokens_C: np.ndarray
    reasons_C: list[str | None]


class AnswerModel:
    """A model with the form of its prompts; the last answer of an example counts. Raises BadRequest where there is none."""

    def __init__(self, config: ModelConfig, prompting: PromptingConfig):
        self.model = LocalModel(config)
        self.name = self.model.name
        limits = [limit for limit in (prompting.max_tokens, self.model.context) if limit]
        self.prompting = Prompting(replace(prompting, max_tokens=min(limits, default=None)), self.name)
        self.model.check(self.prompting.tokenizer)

    def __call__(self, examples: Sequence[Example]) -> AnswerLosses:
        """Read every example once, those of like length together."""
        tokens_C, losses_C = np.zeros(len(examples), np.int64), np.zeros(len(examples))
        contexts, reasons_C = [], []
        for number, tokens in enumerate(self.prompting.tokenise(examples)):
            context = _context(number, tokens)
            reasons_C.append(context if isinstance(context, str) else None)
            contexts += [] if isinstance(context, str) else [context]
        if contexts:
            line = lined_up(contexts)
            losses_S, _, failed = self.model.losses(line)
            places = [context.row for context in contexts]
            owners = line.owners[line.targets]
            losses_C[places] = np.bincount(owners, losses_S[line.targets].astype(np.float64), minlength=len(contexts))
            tokens_C[places] = np.bincount(owners, minlength=len(contexts))
            for number in failed:
                losses_C[places[number]], reasons_C[places[number]] = 0, FORWARD_FAILED
        return AnswerLosses(losses_C, tokens_C, reasons_C)


def _context(number: int, tokens: Tokens | NoExample) -> Context | str:
    if isinstance(tokens, NoExample):
        return tokens.reason
    if not tokens.answer[1:].any():
        return NO_TARGET  # nothing stands before the first token
    return following(number, ANSWER, tokens.ids, tokens.answer)
