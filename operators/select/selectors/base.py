"""The contract of a selector: a pool and a budget in, positions in pick order out. Free of heavy libraries.

A selector sees features of rows that were measured before (operators/select/measure) and never changes a row. What it chooses
depends on the pool's rows, their positions and its settings alone: not on parts, batches or processes.

Shapes: N rows of the pool, D dimensions.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa

from operators.errors import BadRequest
from operators.settings import setting

# Columns that any pool has beside `id` and `record` (the row as it was read, JSON), and those that stand beside others.
TEXT = "text"  # what is said in a row
# Begins the name of a column that is a top-level field of the record, as text: a string as it is, all else as compact JSON, null
# where the field is missing or null.
RECORD = "record."
REASON = ".reason"  # ends the name of the column that tells why another is null

# What a selector may ask for beside its block; what there is none of is given as None. A block whose selector asks for `scores`
# has a field `by`, which names the selector that gives them. Positions are those of the pool that the selector sees.
ASKS = {
    "gumbel": "GumbelConfig: how much chance stands beside the scores",
    "target": "Pool: a target set, with the same columns that the selector reads of the pool",
    "scores": "Callable[[Pool], float64 (N)]: a score of each row of a pool, NaN where there is none",
    "weights": "list of float: how much each checkpoint counts whose gradients are read",
    "labelled": "int64 (L): positions of rows that were chosen before and stay chosen",
    "positions": "int64: positions of the rows that the stages before the choice picked, in pick order",
}


@dataclass
class BudgetConfig:
    """How much is chosen: one of rows, tokens and share."""

    rows: int | None = setting(None, "rows to choose")
    tokens: int | None = setting(None, "tokens to choose: rows in the order of the picks while they fit")
    share: float | None = setting(None, "share of the eligible rows to choose, in (0, 1]")
    allow_short: bool = setting(False, "take all eligible rows where there are fewer than the budget; else an error")

    def __post_init__(self):
        given = {name: getattr(self, name) for name in ("rows", "tokens", "share") if getattr(self, name) is not None}
        if len(given) > 1:
            raise BadRequest(f"budget.{' and budget.'.join(given)} are given. Give one of them.")
        for name in ("rows", "tokens"):
            if given.get(name, 0) < 0:
                raise BadRequest(f"budget.{name} is a number from 0, got {given[name]}.")
        if not 0 <= given.get("share", 1) <= 1:
            raise BadRequest(f"budget.share is a share from 0 to 1, got {self.share}. For 10% write 0.1.")


@dataclass(frozen=True)
class Budget:
    """A budget of one pool: `tokens_N` int (N) counts the tokens of each row, where tokens are what is counted.

    Raises BadRequest where no budget is given, or more tokens than there are.
    """

    config: BudgetConfig
    tokens_N: np.ndarray | None = None

    def __post_init__(self):
        if all(getattr(self.config, name) is None for name in ("rows", "tokens", "share")):
            raise BadRequest("no budget is given. Give one of budget.rows, budget.tokens and budget.share.")
        if self.config.tokens is not None and self.tokens_N is None:
            raise BadRequest(
                f"budget.tokens={self.config.tokens:,} needs the tokens of each row, and they were not measured."
            )
        if self.config.tokens is not None and not self.config.allow_short and self.config.tokens > self.tokens_N.sum():
            raise BadRequest(
                f"budget.tokens={self.config.tokens:,}, and all rows together have {self.tokens_N.sum():,}. Lower it, or set "
                "budget.allow_short=true to take them all."
            )

    def rows(self, eligible: int, excluded: Mapping[str, int] | None = None) -> int:
        """Count the rows to choose among the eligible ones; for a budget of tokens all of them, of which `prefix` cuts.

        Raises BadRequest where they are too few; `excluded` counts the others by reason.
        """
        config = self.config
        if config.tokens is not None:
            return eligible
        wanted = math.floor(config.share * eligible) if config.share is not None else config.rows
        if wanted > eligible and not config.allow_short:
            others = ", ".join(f"{reason} {count:,}" for reason, count in sorted((excluded or {}).items()))
            raise BadRequest(
                f"the budget is {wanted:,} rows, and only {eligible:,} rows are eligible"
                f"{f' (could not be chosen: {others})' if others else ''}. Lower it, or set budget.allow_short=true to take "
                "them all."
            )
        return min(wanted, eligible)

    def prefix(self, positions: np.ndarray) -> np.ndarray:
        """Cut picks where the next one would be more tokens than there may be. A budget of rows leaves them as they are."""
        if self.config.tokens is None:
            return positions
        spent = np.cumsum(self.tokens_N[positions], dtype=np.int64)
        return positions[: int(np.searchsorted(spent, self.config.tokens, side="right"))]


class Pool(Protocol):
    """What a selector sees of a pool: N rows in data order, each with its position 0..N-1.

    Features stand beside the rows, in columns. What could not be measured is null there (NaN in a matrix), and the column
    NAME.reason tells why.
    """

    rows: int

    def columns(self, *names: str) -> Iterator[pa.Table]:
        """Stream some columns in data order, a part at a time."""

    def matrix(self, name: str) -> np.ndarray:
        """Give a column of vectors: float32 or float16 (N, D), memory-mapped where it is large. Rows without one are NaN."""


@dataclass
class Choice:
    """What a selector chose: positions int64 in pick order, all different, with the score of each where there is one.

    `excluded` counts rows that could not be chosen, by reason. `notes` are facts for the report: plain values, by name.
    """

    positions: np.ndarray
    scores: np.ndarray | None = None
    excluded: dict[str, int] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


class Selector(Protocol):
    """One way to choose. Made from its block and, by name, from what it asks for; raises BadRequest for what cannot be.

    A block of defaults must build, because its columns are asked for before anything runs; what only the user can say is asked
    for by `__call__`.

    `Config` is the dataclass of its block: its settings, with a line each. `asks` are names of ASKS, in the order of the
    constructor's arguments behind the block. `reads` names the columns and matrices of the pool that it needs; a constructor sets
    it where settings decide it.
    A selector that picks one row after the other asks `budget.prefix` of its picks so far now and then, and stops when it cuts.
    """

    Config: ClassVar[type]
    asks: ClassVar[tuple[str, ...]]
    reads: tuple[str, ...]

    def __call__(self, pool: Pool, budget: Budget) -> Choice: ...
