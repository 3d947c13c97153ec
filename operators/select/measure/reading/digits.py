"""Ratings that a language model gives by its next token: the logits of the digits after a text that asks for one.

Shapes: N rows, P texts of a row, J digits.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from operators.errors import BadRequest
from operators.examples.base import Example, ExampleConfig, NoExample
from operators.examples.prompting import Prompting, PromptingConfig
from operators.select.measure.base import FORWARD_FAILED, NO_PROMPT, TOO_LONG, ModelConfig, NotFinite, examples_in
from operators.select.measure.reading.line import Context, Line, lined_up
from operators.select.measure.reading.slabs import prepared

KIND = "digit_logits"


class _Read(NamedTuple):
    """What is to be read of some rows; the contexts of a row stand together. `reasons` tells why one has none."""

    contexts: list[Context]
    reasons: list[str | None]


class Digits:
    """A model that rates from 1 to `digits`. `max_tokens` is the longest text that it is asked with.

    Raises BadRequest where the model is not there, or where its tokenizer has no single token for each digit.
    """

    def __init__(self, model: ModelConfig, examples: ExampleConfig, digits: int, max_tokens: int):
        # Threads that spin while they wait lose most of their throughput where another process wants a core.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from operators.select.measure.reading.local_model import LocalModel

        self.model, self.examples = LocalModel(model), examples
        limit = min(max_tokens, self.model.context or max_tokens)
        self.prompting = Prompting(PromptingConfig(template="plain", max_tokens=limit), model.path)
        self.model.check(self.prompting.tokenizer)
        self.tokens = digit_tokens(self.prompting.tokenizer, digits, model.path)

    def __call__(
        self, rows: pa.Table, texts: Callable[[Example], list[str]]
    ) -> tuple[list[np.ndarray | None], list[str | None]]:
        """Ask with the texts of each row: logits float32 (P, J) of each of N rows, None where `reasons` (N) says why.

        A row of which one text cannot be read has none at all. Plain text has no question and is not rated. Raises NotFinite.
        """
        found: list[np.ndarray | None] = [None] * len(rows)
        reasons: list[str | None] = [None] * len(rows)
        for numbers, read in prepared(rows, self.model.batch_tokens, lambda some: self._read(some, texts)):
            for number, reason in zip(numbers.tolist(), read.reasons, strict=True):
                reasons[number] = reason
            if read.contexts:
                for row, logits_PJ in self._logits(read.contexts).items():
                    number = int(numbers[row])
                    found[number], reasons[number] = logits_PJ, FORWARD_FAILED if logits_PJ is None else None
        bad = [number for number, each in enumerate(found) if each is not None and not np.isfinite(each).all()]
        if bad:
            raise NotFinite(self.model.name, KIND, [rows["id"][number].as_py() for number in bad])
        return found, reasons

    def _read(self, rows: pa.Table, texts: Callable[[Example], list[str]]) -> _Read:
        read = examples_in(rows, self.examples)
        reasons = [_unrated(example) for example in read]
        asked = [(row, text) for row, example in enumerate(read) if reasons[row] is None for text in texts(example)]
        contexts = []
        tokens = self.prompting.tokenise([Example(text=text) for _, text in asked])
        for (row, _), each in zip(asked, tokens, strict=True):
            if isinstance(each, NoExample):
                reasons[row] = TOO_LONG
            else:
                contexts.append(_asking(row, each.ids))
        return _Read([context for context in contexts if reasons[context.row] is None], reasons)

    def _logits(self, contexts: list[Context]) -> dict[int, np.ndarray | None]:
        line: Line = lined_up(contexts)
        logits_SJ, failed = self.model.logits(line, self.tokens)
        rows_C = np.array([context.row for context in contexts])
        logits_CJ = logits_SJ[line.targets]  # one target in each context
        without = set(rows_C[failed].tolist())
        return {int(row): None if row in without else logits_CJ[rows_C == row] for row in np.unique(rows_C)}


def digit_tokens(tokenizer: Tokenizer, digits: int, name: str) -> list[int]:
    """Look up the tokens of the digits from 1. Raises BadRequest where one has none of its own."""
    tokens = [tokenizer.token_to_id(str(digit)) for digit in range(1, digits + 1)]
    missing = [str(digit) for digit, token in enumerate(tokens, 1) if token is None]
    if missing:
        raise BadRequest(
            f"the tokenizer of {name} has no single token for {', '.join(missing)}. A model rates by the token that comes next, "
            f"so each digit from 1 to {digits} must be one: take another scorer.path."
        )
    return tokens


def _unrated(example: Example | str) -> str | None:
    if isinstance(example, str):
        return example
    return None if example.turns else NO_PROMPT


def _asking(row: int, ids: np.ndarray) -> Context:
    """Make a context after whose last token something is to be predicted."""
    targets = np.zeros(len(ids) + 1, dtype=bool)
    targets[-1] = True
    return Context(row, KIND, ids, np.append(ids, 0), targets)
