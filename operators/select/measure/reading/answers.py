"""Rows of a pool as what a language model is to read of them: answers with their prompts, and without the question.

Shapes: N rows.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from operators.examples.base import Example, ExampleConfig, NoExample
from operators.examples.prompting import Prompting, Tokens
from operators.select.measure.base import NO_LABEL, NO_PROMPT, NO_TARGET, TOO_LONG, examples_in
from operators.select.measure.reading.line import Context, following
from operators.select.measure.reading.released import released_contexts

ANSWER_LOSS, DIRECT_LOSS = "answer_loss", "direct_loss"
LONGEST = 4096  # tokens of the release, where nothing else sets a limit


@dataclass(frozen=True)
class Answers:
    """What is read of N rows: contexts by row and feature, tokens int32 (N, 2) of prompt and answer (0 where there are none),
    which rows are tokens at all (bool), and why a feature of a row is missing.
    """

    contexts: list[Context]
    tokens_N2: np.ndarray
    known_N: np.ndarray
    reasons: list[str | None]


class ReadAnswers:
    """Make contexts of rows. `context` is the longest that the model has positions for; None: any."""

    def __init__(
        self, prompting: Prompting, examples: ExampleConfig, context: int | None, ending: bool, released: bool
    ):
        self.prompting, self.examples, self.ending, self.released = prompting, examples, ending, released
        self.context = context
        self.limit = min((most for most in (prompting.config.max_tokens, context) if most), default=LONGEST)

    def __call__(self, rows: pa.Table) -> Answers:
        read = examples_in(rows, self.examples)
        numbers = [number for number, example in enumerate(read) if isinstance(example, Example)]
        examples = [read[number] for number in numbers]
        reasons = [None if isinstance(example, Example) else example for example in read]
        contexts: list[Context] = []
        tokens_N2 = np.zeros((len(read), 2), np.int32)
        for number, example, pair in zip(numbers, examples, self.prompting.tokenise_both(examples), strict=True):
            if isinstance(pair, NoExample):
                reasons[number] = pair.reason
                continue
            found, reasons[number] = self._contexts(number, example, *pair)
            contexts += found
            if found:
                tokens_N2[number] = pair[0].prompt_tokens, pair[0].answer_tokens
        if self.released:
            more, missing = released_contexts(examples, numbers, self.prompting.tokenizer, self.limit)
            contexts += more
            for number, reason in missing.items():
                reasons[number] = reasons[number] or reason
        return Answers(contexts, tokens_N2, tokens_N2.any(axis=1), reasons)

    def _contexts(
        self, number: int, example: Example, whole: Tokens, direct: Tokens
    ) -> tuple[list[Context], str | None]:
        ids, targets = whole.ids, whole.answer
        room = self.context is None or len(ids) < self.context
        if self.ending and room and self.prompting.eos is not None and ids[-1] != self.prompting.eos:
            ids, targets = np.append(ids, self.prompting.eos), np.append(targets, False)
        if self.context is not None and max(len(ids), len(direct.ids)) > self.context:
            return [], TOO_LONG
        answer = following(number, ANSWER_LOSS, ids, targets)
        if not answer.targets.any():
            return [], NO_TARGET
        if not example.turns:
            return [answer], NO_PROMPT
        if direct.answer[0]:
            return [answer], NO_LABEL
        return [answer, following(number, DIRECT_LOSS, direct.ids, direct.answer)], None
