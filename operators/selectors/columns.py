"""Columns of a pool as numbers.

Shapes: B rows of one part.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.errors import BadRequest
from operators.selectors.base import Pool
from operators.selectors.ranking import Scored

VARIANTS = ("default", "as_released")


def numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Give a column as float64 (B), NaN where it is null."""
    return pc.cast(column, pa.float64()).to_numpy()


def scored(pool: Pool, column: str, score: Callable[[np.ndarray], np.ndarray]) -> Callable[[], Iterator[Scored]]:
    """Make a stream of the pool's rows for `ranked`: what `score` makes of the numbers of one column."""
    return lambda: (Scored(part["id"].to_pylist(), score(numbers(part[column]))) for part in pool.columns("id", column))


def check_variant(selector: str, variant: str) -> None:
    """Raise BadRequest for a variant that there is not."""
    if variant not in VARIANTS:
        raise BadRequest(f"{selector}.variant is {variant!r}. It may be {' or '.join(VARIANTS)}.")
