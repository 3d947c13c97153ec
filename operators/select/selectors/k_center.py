"""Greedy k-center on embeddings (DiverseEvol): each pick is the row that is farthest from all that were chosen before it.

Shapes: N rows of the pool, L rows labelled in earlier rounds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from operators.select.selectors.base import Budget, Choice, Pool
from operators.select.selectors.picking.columns import check_variant, with_reasons
from operators.select.selectors.picking.distances import Distances, blas_threads
from operators.select.selectors.picking.farthest_first import FarthestFirst
from operators.select.selectors.picking.picks import check_number, drawn, left_out, picked
from operators.settings import setting


@dataclass
class KCenterConfig:
    init: int = setting(1, "random rows to begin with where none are labelled; they count in the budget")
    seed: int = setting(0, "seed of these rows")
    variant: str = setting(
        "default",
        "default: greedy; or as_released: the rows farthest from those to begin with, without a look at each other",
    )

    def __post_init__(self):
        check_number("k_center.init", self.init, 1)
        check_variant("k_center", self.variant)


class KCenter:
    """Choose rows that cover the pool: farthest first, by L2 distance of embeddings, ties by the earliest position.

    `labelled` are positions (L) chosen in earlier rounds: the distances count from them, and they are not chosen again. The score
    is the distance to what was chosen before, missing (NaN) for the random first rows. Rows that lie on a chosen one come last,
    by position. The picks are those of the plain algorithm in float64.
    Sources: Gonzalez (1985); Sener and Savarese, arXiv:1708.00489, algorithm 1; DiverseEvol, arXiv:2311.08182.
    """

    Config = KCenterConfig
    asks = ("labelled",)
    reads = ("id", *with_reasons("embedding"))

    def __init__(self, config: KCenterConfig, labelled: np.ndarray | None = None):
        self.config = config
        self.labelled = np.asarray([] if labelled is None else labelled, dtype=np.int64)

    def __call__(self, pool: Pool, budget: Budget) -> Choice:
        with blas_threads() as threads:
            distances = Distances(pool.matrix("embedding"), threads)
            finite_N = distances.finite_N
            open_N = finite_N.copy()
            open_N[self.labelled] = False
            excluded = left_out(pool, finite_N, "embedding")
            rows = budget.rows(int(np.count_nonzero(open_N)), excluded)
            begin = self.labelled[finite_N[self.labelled]]
            first = np.empty(0, np.int64) if len(begin) else self._random(pool, open_N)[:rows]
            distances.add_centers(begin if len(begin) else first)
            open_N[first] = False
            greedy = self.config.variant == "default"
            picks = FarthestFirst(distances, open_N) if greedy else _farthest_from_the_first(distances, open_N)
            positions, squared = picked(_all_picks(first, picks, open_N), budget, rows)
        notes = {"labelled": len(begin), "random_first_rows": min(len(first), len(positions))}
        if greedy:
            notes["distances_computed"] = picks.pairs
        notes["on_a_chosen_row"] = int(np.count_nonzero(squared == 0))
        return Choice(positions, np.sqrt(squared), excluded, notes)

    def _random(self, pool: Pool, open_N: np.ndarray) -> np.ndarray:
        key_N = np.where(open_N, drawn(pool, self.config.seed), np.inf)
        return np.argsort(key_N, kind="stable")[: min(self.config.init, np.count_nonzero(open_N))]


def _all_picks(first: np.ndarray, picks, open_N: np.ndarray) -> Iterator[tuple[int, float]]:
    """Yield the first rows, the picks, and then by position what has no distance: (position, squared distance)."""
    yield from ((int(position), np.nan) for position in first)
    left_N = open_N.copy()
    for position, squared in picks if left_N.any() else ():
        left_N[position] = False
        yield position, squared
    yield from ((int(position), 0.0) for position in np.flatnonzero(left_N))


def _farthest_from_the_first(distances: Distances, open_N: np.ndarray) -> Iterator[tuple[int, float]]:
    """Yield all rows by their squared distance to the centers as they are now, which the picks do not change."""
    positions = np.flatnonzero(open_N)
    squared = distances.exact(positions, np.zeros(len(positions), np.int64), np.full(len(positions), np.inf))
    order = np.argsort(-squared, kind="stable")
    yield from zip(positions[order].tolist(), squared[order].tolist(), strict=True)
