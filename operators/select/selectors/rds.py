"""RDS+: rows whose representations are like those of a target set, the target's rows choosing in turns.

Shapes: N rows of the pool, D dimensions, T rows of the target set, E pairs of a target row and a pool row.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, Choice, Pool
from operators.select.selectors.picking.columns import with_reasons
from operators.select.selectors.picking.neighbours import cosines, margin, unit_rows
from operators.select.selectors.picking.picks import finite_rows, left_out, picked

PER_TARGET = 1024  # candidates kept for each target row
ROWS, PAIRS = 8192, 4_000_000  # of one product
SAME = 1 - 1e-6  # cosine of rows that are taken for the same


@dataclass
class RdsConfig:
    """RDS+ has no settings of its own."""


class Rds:
    """Choose rows in turns of the target's rows, in their order: each takes the unused row with the largest cosine to itself.

    Ties go to the earliest position. The representation is the position-weighted mean of a model's last hidden states. The
    score is the cosine. The picks are those that all N x T cosines in float64 would give, of which few are kept at a time.
    Source: RDS+, arXiv:2503.01807, section 3.
    """

    Config = RdsConfig
    asks = ("target",)
    reads = ("id", *with_reasons("weighted_embedding"))

    def __init__(self, config: RdsConfig, target: Pool):
        self.config, self.target = config, target

    def __call__(self, pool: Pool, budget: Budget) -> Choice:
        matrix_ND, target_TD = pool.matrix("weighted_embedding"), self._target()
        finite_N = finite_rows(matrix_ND)
        excluded = left_out(pool, finite_N, "weighted_embedding")
        rows = budget.rows(int(np.count_nonzero(finite_N)), excluded)
        positions, scores = picked(_Turns(matrix_ND, finite_N, target_TD).picks(), budget, rows)
        notes = {
            "target_rows": len(target_TD),
            "chosen_like_a_target_row": int(np.count_nonzero(scores >= SAME)),
        }
        without = left_out(self.target, finite_rows(self.target.matrix("weighted_embedding")), "weighted_embedding")
        notes |= {f"target_rows_{reason}": rows for reason, rows in without.items()}
        return Choice(positions, scores, excluded, notes)

    def _target(self) -> np.ndarray:
        target_TD = self.target.matrix("weighted_embedding")
        finite_T = finite_rows(target_TD)
        if not finite_T.any():
            raise BadRequest(
                f"none of the {self.target.rows:,} target rows has a weighted_embedding: rds has nothing to be like."
            )
        return target_TD[finite_T]


class _Turns:
    """Each target row's best unused rows, found again when they are used up."""

    def __init__(self, matrix_ND: np.ndarray, open_N: np.ndarray, target_TD: np.ndarray):
        self._matrix_ND, self._target_TD = matrix_ND, target_TD
        self._open_N = open_N.copy()
        self._left = int(np.count_nonzero(open_N))
        self._lists: list[Iterator[tuple[int, float]]] = []

    def picks(self) -> Iterator[tuple[int, float]]:
        """Yield (position, cosine) until no row is left."""
        self._find(PER_TARGET)
        while True:
            for target in range(len(self._target_TD)):
                if not self._left:
                    return
                position, cosine = self._best(target)
                self._open_N[position] = False
                self._left -= 1
                yield position, cosine

    def _best(self, target: int) -> tuple[int, float]:
        count = PER_TARGET
        while True:
            for position, cosine in self._lists[target]:
                if self._open_N[position]:
                    return position, cosine
            self._find(count)
            count *= 2  # where more rows than these are too near to each other to be told apart

    def _find(self, count: int) -> None:
        """Find the unused rows that stand first for each target row, up to `count`, surely ahead of all others and in order."""
        unit_TD = unit_rows(self._target_TD, np.arange(len(self._target_TD)))
        best = _Best(len(unit_TD), count)
        unused, rows = np.flatnonzero(self._open_N), max(1, min(ROWS, PAIRS // len(unit_TD)))
        for start in range(0, len(unused), rows):
            positions = unused[start : start + rows]
            best.add(unit_TD @ unit_rows(self._matrix_ND, positions).T, positions)
        target_E, position_E, floor_T = best.settled()
        cosine_E = self._cosines(target_E, position_E)
        sure_E = cosine_E > floor_T[target_E] + 2 * margin(unit_TD.shape[1])
        target_E, position_E, cosine_E = target_E[sure_E], position_E[sure_E], cosine_E[sure_E]
        order_E = np.lexsort((position_E, -cosine_E, target_E))
        cuts = np.searchsorted(target_E[order_E], np.arange(1, len(unit_TD)))
        parts = zip(np.split(position_E[order_E], cuts), np.split(cosine_E[order_E], cuts), strict=True)
        self._lists = [iter(list(zip(*(part.tolist() for part in pair), strict=True))) for pair in parts]

    def _cosines(self, target_E: np.ndarray, position_E: np.ndarray) -> np.ndarray:
        parts = (slice(start, start + ROWS) for start in range(0, len(target_E), ROWS))
        pairs = (cosines(self._matrix_ND[position_E[part]], self._target_TD[target_E[part]]) for part in parts)
        return np.concatenate([np.empty(0), *pairs])


class _Best:
    """The `count` largest cosines of each target row among those that went by."""

    def __init__(self, targets: int, count: int):
        self._count, self._waiting = count, 0
        self._room = 2 * targets * count
        self._floor_T = np.full(targets, -np.inf)  # no row that was left out is above it
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, cosine_TB: np.ndarray, position_B: np.ndarray) -> None:
        target_E, row_E = np.nonzero(cosine_TB > self._floor_T[:, None])
        self._parts.append((target_E, position_B[row_E], cosine_TB[target_E, row_E]))
        self._waiting += len(target_E)
        if self._waiting > self._room:
            self.settled()

    def settled(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give target (E), position (E), and for each target row the cosine (T) that none left out exceeds."""
        target_E, position_E, cosine_E = (np.concatenate(arrays) for arrays in zip(*self._parts, strict=True))
        order_E = np.lexsort((-cosine_E, target_E))
        target_E, position_E, cosine_E = target_E[order_E], position_E[order_E], cosine_E[order_E]
        start_T = np.searchsorted(target_E, np.arange(len(self._floor_T)))
        rank_E = np.arange(len(target_E)) - start_T[target_E]
        last = rank_E == self._count
        self._floor_T[target_E[last]] = cosine_E[last]
        kept = rank_E < self._count
        self._parts = [(target_E[kept], position_E[kept], cosine_E[kept])]
        self._waiting = int(np.count_nonzero(kept))
        return target_E[kept], position_E[kept], self._floor_T
