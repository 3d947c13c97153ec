"""The contract of a reference: packed rows in, one loss per token out. Free of heavy libraries.

Shapes: R rows of T tokens, C contexts.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from operators.errors import BadRequest
from operators.models.engines.openai.engine import OpenAIConfig
from operators.settings import setting
from operators.tokens.rows import PackedRows, Packing

DTYPES = ("float32", "bfloat16", "float16")
BLOCK = "reference.openai"  # where the settings of a server stand
SAVED = ("float16", "float32")  # bfloat16 is too coarse to rank by


@dataclass
class ScoreConfig:
    """How packed rows are scored. Source: Rho-1, arXiv:2404.07965, step 2 and equation 2."""

    entropy: bool = setting(False, "also save the entropy of the reference model's predictions, in nats")
    dtype: str | None = setting(
        None, f"type of the reference's weights: {', '.join(DTYPES)}; null: bfloat16 on a GPU, else float32"
    )
    device: str | None = setting(None, "cpu, cuda, cuda:1; null takes a GPU where there is one", identity=False)
    attention: str | None = setting(
        None, "implementation of attention, as transformers names it (sdpa, flash_attention_2); null: its own choice"
    )
    batch_tokens: int | None = setting(
        None, "tokens in one forward, at least one context; null: 2048 on a processor, 65536 on a GPU"
    )

    saved: str = setting(
        "float16", "type of the saved scores: float16, or float32 where a rounding of 0.004 at a loss of 8 matters"
    )

    def __post_init__(self):
        if self.saved not in SAVED:
            raise BadRequest(f"score.saved is {self.saved!r}. It may be {' or '.join(SAVED)}.")
        if self.dtype is not None and self.dtype not in DTYPES:
            raise BadRequest(f"score.dtype is {self.dtype!r}. It may be {', '.join(DTYPES)}, or null.")
        if self.batch_tokens is not None and self.batch_tokens < 1:
            raise BadRequest(f"score.batch_tokens is a number of tokens from 1, got {self.batch_tokens}.")


@dataclass(frozen=True)
class Server:
    """A reference behind a URL. `tokenizer` is the folder (or hub name) of the tokenizer that the rows were packed with."""

    openai: OpenAIConfig
    tokenizer: str


class Reference(Protocol):
    """A model that says how likely tokens are."""

    name: str

    def check(self, packing: Packing) -> None:
        """Raise BadRequest unless rows packed like this can be scored: same tokenizer, long enough a context."""

    def score(self, rows: PackedRows) -> list[np.ndarray]:
        """Give float32 (R, T): -log P in nats and, if it was asked for, the entropy. NaN where `rows.defined_RT` is false."""


class NotFiniteScore(RuntimeError):
    """A reference gave no number where it should have. `rows` are the ids of the rows where that was so."""

    def __init__(self, reference: str, column: str, rows: list[str]):
        shown = ", ".join(rows[:3]) + (f" and {len(rows) - 3} more" if len(rows) > 3 else "")
        super().__init__(
            f"{column} by {reference} is not a number or not finite in rows {shown}. Check the model (its weights may be "
            "broken, or overflow in float16: take score.dtype=float32 or bfloat16)."
        )
        self.rows = rows


def score_columns(references: int, entropy: bool) -> list[str]:
    """Name the columns that so many references give, in order."""
    kinds = ["reference_loss", "reference_entropy"] if entropy else ["reference_loss"]
    return [kind if references == 1 else f"{kind}_{number}" for number in range(1, references + 1) for kind in kinds]


def contexts_to_read(rows: PackedRows) -> np.ndarray:
    """List what a model must read to score rows: int64 (C, 2), begin and end in the tokens of all rows in a line.

    A context ends before its last defined target, which no other target needs; one without a defined target is left out.
    """
    row_C, begin_C, end_C = rows.segments().T
    window = rows.packing.window
    defined = rows.defined_RT.reshape(-1)
    place = np.arange(defined.size)
    # The last defined place up to each place; -1 before the first.
    last = np.maximum.accumulate(np.where(defined, place, -1))
    begin_C, end_C = row_C * window + begin_C, last[row_C * window + end_C - 1]
    return np.stack([begin_C, end_C], axis=1)[end_C > begin_C]
