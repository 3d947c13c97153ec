"""What selectors that pick one row after the other share: when to stop, and seeded random rows.

Shapes: N rows of the pool.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from operators.errors import BadRequest
from operators.select.selectors.base import REASON, Budget, Pool
from operators.select.selectors.picking.columns import reasons
from operators.select.selectors.picking.ranking import uniform

AT_LEAST = 256  # picks between two looks at the tokens spent


def picked(picks: Iterator[tuple[int, float]], budget: Budget, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Take (position, score) from the picks until there are `rows`, the tokens of the budget are spent, or there are no more."""
    positions, scores, look = [], [], AT_LEAST
    while len(positions) < rows and (pick := next(picks, None)) is not None:
        positions.append(pick[0])
        scores.append(pick[1])
        if len(positions) == look:
            if len(budget.prefix(np.array(positions))) < look:
                break
            look += max(AT_LEAST, look // 16)
    kept = budget.prefix(np.array(positions, dtype=np.int64))
    return kept, np.array(scores[: len(kept)], dtype=np.float64)


def drawn(pool: Pool, seed: int) -> np.ndarray:
    """Draw a number in (0, 1) for each row of the pool from its id: float64 (N)."""
    return np.concatenate([np.empty(0), *(uniform(seed, part["id"].to_pylist()) for part in pool.columns("id"))])


def finite_rows(matrix_ND: np.ndarray, rows: int = 4096) -> np.ndarray:
    """Mark the rows whose numbers are all finite: bool (N)."""
    parts = (matrix_ND[start : start + rows] for start in range(0, len(matrix_ND), rows))
    return np.concatenate([np.empty(0, bool), *(np.isfinite(part).all(axis=1) for part in parts)])


def left_out(pool: Pool, known_N: np.ndarray, *columns: str, otherwise: str = "not_finite") -> dict[str, int]:
    """Count the rows that cannot be chosen because they lack one of some columns, by the reason that is told beside it.

    `otherwise` is why where none is told: an embedding with NaN or infinity in it.
    """
    missing = np.flatnonzero(~known_N)
    if not len(missing):
        return {}
    parts = pool.columns(*(f"{column}{REASON}" for column in columns))
    told = [reason for part in parts for reason in reasons(part, *columns)]
    return dict(Counter(told[row] or otherwise for row in missing.tolist()))


def finite_scores(scores_N: np.ndarray) -> np.ndarray:
    """Give the scores (NaN where there is none) as they are. Raises BadRequest for an infinite one."""
    infinite = np.flatnonzero(np.isinf(scores_N))
    if len(infinite):
        raise BadRequest(
            f"the row at position {infinite[0]} has an infinite score, and {len(infinite) - 1:,} others too. A score is a finite "
            "number or missing: measure these rows again, or leave them out of the pool."
        )
    return scores_N


def check_number(name: str, value: int, least: int) -> None:
    """Raise BadRequest where a setting is below the least it may be."""
    if value < least:
        raise BadRequest(f"{name} is a number from {least}, got {value}.")
