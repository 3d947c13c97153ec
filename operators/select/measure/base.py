"""The contract of a measure: rows of a pool in, their features out. Free of heavy libraries.

A measure adds columns beside the rows of a pool and never changes a row. What it says of a row depends on the row and the
settings alone: not on the rows around it, the part it stands in, or the order.

Shapes: N rows of a part, D dimensions.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from operators.errors import BadRequest
from operators.examples.base import Example, ExampleConfig, NoExample, example_of
from operators.settings import setting

EMBEDDING = "embedding"  # the column of vectors that rows are near or far by, whoever embeds them
DTYPES = ("float32", "bfloat16", "float16")

# Why a feature of a row is null, beside the reasons of NoExample.
NO_PROMPT = "no_prompt"  # plain text: there is no question to be given, or left out
NO_TARGET = "no_target"  # no token of the answer is there to be predicted
NO_LABEL = "no_label"  # the template has nothing before an answer without its question, and the tokenizer no BOS
TOO_LONG = "too_long"  # more tokens than the limit, or than the model has positions for
FORWARD_FAILED = "forward_failed"  # the device has no room for this row, not even alone


@dataclass
class ModelConfig:
    """The language model that measures rows, and where it runs."""

    path: str | None = setting(None, "model that measures: a folder in Hugging Face format, or a name on the hub")
    dtype: str | None = setting(
        None, f"type of the model's weights: {', '.join(DTYPES)}; null: bfloat16 on a GPU, else float32"
    )
    device: str | None = setting(None, "cpu, cuda, cuda:1; null takes a GPU where there is one", identity=False)
    attention: str | None = setting(
        None, "implementation of attention, as transformers names it (sdpa, flash_attention_2); null: its own choice"
    )
    batch_tokens: int | None = setting(
        None, "tokens in one forward, at least one row; null: 2048 on a processor, 65536 on a GPU"
    )

    def __post_init__(self):
        if self.dtype is not None and self.dtype not in DTYPES:
            raise BadRequest(f"scorer.dtype is {self.dtype!r}. It may be {', '.join(DTYPES)}, or null.")
        if self.batch_tokens is not None and self.batch_tokens < 1:
            raise BadRequest(f"scorer.batch_tokens is a number of tokens from 1, got {self.batch_tokens}.")


class Measure(Protocol):
    """One way to measure rows. Made from its settings, dataclasses; the constructor loads what is heavy and raises BadRequest. A
    setting `path` or `quality_model` names a model, `tokenizer` a tokenizer: it is given where that lies on this machine.

    Takes rows of a pool, any number of them: `id`, and `record` with a JSON object. Returns a table as long and in the same
    order: `id`, the features (null where there is none), and `reason` (string), why a feature of the row is null; null where
    all are there. Types are the same for any rows, also for none. The features it may give are named beside the class, as
    COLUMNS, by which a run finds out what measures a column that is read.
    """

    def __call__(self, rows: pa.Table) -> pa.Table: ...


class NotFinite(RuntimeError):
    """A model gave no number for a valid row. `rows` are the ids of the rows where that was so."""

    def __init__(self, model: str, column: str, rows: Sequence[str]):
        shown = ", ".join(rows[:3]) + (f" and {len(rows) - 3} more" if len(rows) > 3 else "")
        super().__init__(
            f"{column} by {model} is not a number or not finite in rows {shown}. Check the model (its weights may be broken, "
            "or overflow in float16: take scorer.dtype=float32 or bfloat16)."
        )
        self.rows = list(rows)


def examples_in(rows: pa.Table, config: ExampleConfig) -> list[Example | str]:
    """Read the records of rows: an example each (N), or the reason why a record is none."""
    return [_example(record, config) for record in rows["record"].to_pylist()]


def features(
    rows: pa.Table, columns: Mapping[str, pa.Array | pa.ChunkedArray], reasons: Sequence[str | None]
) -> pa.Table:
    """Make what a measure returns: the ids of rows, their features, and why one is missing (N each)."""
    ids = rows["id"].cast(pa.string())
    return pa.table({"id": ids, **columns, "reason": pa.array(reasons, pa.string())})


def vectors(vectors_ND: np.ndarray, known_N: np.ndarray) -> pa.Array:
    """Make a column of vectors, in the type of the array; null where `known_N` is false."""
    values = pa.array(np.ascontiguousarray(vectors_ND).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(values, vectors_ND.shape[1], mask=pa.array(~known_N))


def _example(record: str, config: ExampleConfig) -> Example | str:
    try:
        return example_of(json.loads(record), config)
    except NoExample as error:
        return error.reason
