"""Columns of a pool as numbers.

Shapes: B rows of one part.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.errors import BadRequest
from operators.select.selectors.base import REASON, Budget, BudgetConfig, Pool, Selector
from operators.select.selectors.picking.ranking import Scored

VARIANTS = ("default", "as_released")


def numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Give a column as float64 (B), NaN where it is null."""
    return pc.cast(column, pa.float64()).to_numpy()


def with_reasons(*columns: str) -> tuple[str, ...]:
    """Name columns, and beside them the columns that tell why they are null."""
    return (*columns, *(f"{column}{REASON}" for column in columns))


def reasons(part: pa.Table, *columns: str) -> list[str | None]:
    """Tell why a row lacks one of some columns (B): the first reason that there is; None where there is none."""
    return pc.coalesce(*(part[f"{column}{REASON}"] for column in columns)).to_pylist()


def scored(pool: Pool, column: str, score: Callable[[np.ndarray], np.ndarray]) -> Callable[[], Iterator[Scored]]:
    """Make a stream of the pool's rows for `ranked`: what `score` makes of the numbers of one column."""
    return lambda: (
        Scored(part["id"].to_pylist(), score(numbers(part[column])), reasons(part, column))
        for part in pool.columns("id", *with_reasons(column))
    )


def check_variant(selector: str, variant: str) -> None:
    """Raise BadRequest for a variant that there is not."""
    if variant not in VARIANTS:
        raise BadRequest(f"{selector}.variant is {variant!r}. It may be {' or '.join(VARIANTS)}.")


def scores_of(selector: Selector, pool: Pool) -> np.ndarray:
    """Give the score of each row, float64 (N), NaN where there is none: what a selector would choose all rows by."""
    choice = selector(pool, Budget(BudgetConfig(share=1.0)))
    scores_N = np.full(pool.rows, np.nan)
    scores_N[choice.positions] = choice.scores
    return scores_N
