"""The DEITA filter: best scores first, and a row only if nothing like it has been kept.

Shapes: N rows of the pool, D dimensions, B rows of one block, K rows kept, P pairs.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, Choice, Pool
from operators.select.selectors.picking.columns import numbers, with_reasons
from operators.select.selectors.picking.neighbours import cosines, margin, unit_rows
from operators.select.selectors.picking.picks import finite_rows, finite_scores, left_out
from operators.settings import setting

ROWS, KEPT = 512, 4096  # of one product
SCORES = ("complexity", "quality")


@dataclass
class DeitaConfig:
    threshold: float = setting(0.9, "largest cosine to a row kept before with which a row is kept itself")

    def __post_init__(self):
        if not -1 <= self.threshold <= 1:
            raise BadRequest(f"deita.threshold is a cosine from -1 to 1, got {self.threshold}. The paper's is 0.9.")


class Deita:
    """Choose rows by complexity x quality, highest first, ties by the earliest position, but none too similar to one kept before.

    The score is complexity x quality. Source: DEITA, arXiv:2312.15685, section 2 and algorithm 1.
    """

    Config = DeitaConfig
    asks = ()
    reads = ("id", *with_reasons(*SCORES, "embedding"))

    def __init__(self, config: DeitaConfig):
        self.config = config

    def __call__(self, pool: Pool, budget: Budget) -> Choice:
        matrix_ND, score_N = pool.matrix("embedding"), _scores(pool)
        finite_N = finite_rows(matrix_ND)
        eligible = np.flatnonzero(finite_N & ~np.isnan(score_N))
        order = eligible[np.argsort(-score_N[eligible], kind="stable")]
        excluded = Counter(left_out(pool, finite_N, "embedding"))
        excluded += left_out(pool, ~finite_N | ~np.isnan(score_N), *SCORES, otherwise="no_score")
        rows = budget.rows(len(order), excluded)
        kept, looked_at = _unlike(matrix_ND, order, self.config.threshold, budget, rows)
        positions = budget.prefix(kept)
        if budget.config.tokens is None and len(positions) < rows and not budget.config.allow_short:
            raise BadRequest(
                f"{rows:,} rows are wanted, and only {len(positions):,} can be kept with no two above deita.threshold="
                f"{self.config.threshold}. Raise it, lower the budget, or set budget.allow_short=true to take these."
            )
        return Choice(positions, score_N[positions], dict(excluded), {"too_similar": int(looked_at - len(kept))})


def _scores(pool: Pool) -> np.ndarray:
    parts = (numbers(part["complexity"]) * numbers(part["quality"]) for part in pool.columns(*SCORES))
    return finite_scores(np.concatenate([np.empty(0), *parts]))


def _unlike(matrix_ND, order: np.ndarray, threshold: float, budget: Budget, rows: int) -> tuple[np.ndarray, int]:
    """Go through rows in order and keep those like none kept before: positions (K), and how many rows were looked at."""
    likeness = _Likeness(matrix_ND, threshold)
    kept, looked_at = np.empty(0, np.int64), 0
    for start in range(0, len(order), ROWS):
        if len(kept) == rows or len(budget.prefix(kept)) < len(kept):
            break
        block = order[start : start + ROWS]
        new_B = ~likeness.to_kept(block)
        alike_BB = likeness.within(block)
        looked_at += len(block)
        for row in np.flatnonzero(new_B):
            if alike_BB[row, :row][new_B[:row]].any():
                new_B[row] = False
            elif len(kept) + np.count_nonzero(new_B[: row + 1]) == rows:
                new_B[row + 1 :] = False
                looked_at -= len(block) - row - 1
                break
        likeness.keep(block[new_B])
        kept = np.concatenate([kept, block[new_B]])
    return kept, looked_at


class _Likeness:
    """Which rows have a cosine above the threshold: by float32 products, and near the threshold in float64."""

    def __init__(self, matrix_ND, threshold: float):
        self._matrix_ND, self._threshold = matrix_ND, threshold
        self._margin = margin(matrix_ND.shape[1])
        self._kept_KD: list[np.ndarray] = []
        self._positions_K: list[np.ndarray] = []

    def keep(self, positions: np.ndarray) -> None:
        """Add rows to those that others are compared with. They stand together in blocks of at least KEPT, the last excepted."""
        rows_KD = unit_rows(self._matrix_ND, positions)
        if self._kept_KD and len(self._kept_KD[-1]) < KEPT:
            rows_KD = np.concatenate([self._kept_KD.pop(), rows_KD])
            positions = np.concatenate([self._positions_K.pop(), positions])
        self._kept_KD.append(rows_KD)
        self._positions_K.append(positions)

    def to_kept(self, positions_B: np.ndarray) -> np.ndarray:
        """Mark the rows that are like a kept one: bool (B)."""
        rows_BD, alike_B = unit_rows(self._matrix_ND, positions_B), np.zeros(len(positions_B), bool)
        for rows_KD, positions_K in zip(self._kept_KD, self._positions_K, strict=True):
            alike_B |= self._above(rows_BD @ rows_KD.T, positions_B, positions_K).any(axis=1)
        return alike_B

    def within(self, positions_B: np.ndarray) -> np.ndarray:
        """Mark the pairs of rows of a block that are alike: bool (B, B)."""
        rows_BD = unit_rows(self._matrix_ND, positions_B)
        return self._above(rows_BD @ rows_BD.T, positions_B, positions_B)

    def _above(self, cosine_BK: np.ndarray, positions_B: np.ndarray, positions_K: np.ndarray) -> np.ndarray:
        above_BK = cosine_BK > self._threshold + self._margin
        near_B = ~above_BK.any(axis=1) if positions_B is not positions_K else np.ones(len(positions_B), bool)
        row_P, kept_P = np.nonzero((np.abs(cosine_BK - self._threshold) <= self._margin) & near_B[:, None])
        for start in range(0, len(row_P), KEPT):
            row, kept = row_P[start : start + KEPT], kept_P[start : start + KEPT]
            cosine_P = cosines(self._matrix_ND[positions_B[row]], self._matrix_ND[positions_K[kept]])
            above_BK[row, kept] = cosine_P > self._threshold
        return above_BK
