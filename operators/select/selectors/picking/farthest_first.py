"""Greedy k-center on a million rows: the picks of the plain algorithm, without its pass over all rows for each pick.

The plain algorithm looks at every row for every pick. Here a row has an upper bound of its squared distance to the nearest
center, which old centers made and new ones can only lower, so it stays a bound while nobody looks at the row. The CANDIDATES rows
with the largest bounds are kept exact after each pick, and the farthest of them is the next pick as long as it is above every
bound outside. When it is not, the rows with the largest bounds are brought up to date with all centers that they have not met,
in one matrix product, and the candidates are chosen again. Rows near an early center are never looked at again.
This is the lazy evaluation of Minoux (1978), in blocks.

Shapes: N rows, M candidates.
"""

from collections.abc import Iterator

import numpy as np

from operators.select.selectors.picking.distances import Distances

CANDIDATES = 4096
REFRESHED = 0.25  # share of the candidates that should stand above all other rows before the picking goes on


class FarthestFirst:
    """The rows by the farthest-first rule: each the farthest from the centers before it, ties by the earliest position.

    `open_N` marks the rows that may be picked; the centers that `distances` has already are where it starts, at least one.
    """

    def __init__(self, distances: Distances, open_N: np.ndarray):
        self._distances = distances
        rows = len(open_N)
        self._upper_N = np.where(open_N, np.inf, -1.0)  # bound of the squared distance; below 0: not to be picked
        self._seen_N = np.where(open_N, 0, np.iinfo(np.int32).max).astype(np.int32)  # centers that the bound knows
        self._exact_N = np.full(rows, np.inf)  # squared distance to the nearest of the first `compared` centers
        self._compared_N = np.zeros(rows, np.int32)
        self._candidates_M = np.empty(0, np.int64)
        self.refreshes = self.pairs = 0  # pairs of a row and a center that were compared

    def __iter__(self) -> Iterator[tuple[int, float]]:
        """Yield (position, squared distance) until no row is left or all that are left lie on a center."""
        while (self._upper_N >= 0).any():
            outside = self._refresh()
            rows_MD = self._distances.shifted(self._candidates_M)
            exact_M = self._exact_N[self._candidates_M]
            while True:
                best = int(np.argmax(exact_M))
                position, squared = int(self._candidates_M[best]), float(exact_M[best])
                if squared == 0 and outside[0] <= 0:
                    return
                if not (squared, -position) > outside or squared < 0:
                    break
                yield position, squared
                exact_M[best] = -np.inf
                self._distances.add_centers(np.array([position]))
                self.pairs += len(rows_MD)
                self._distances.nearer(rows_MD, self._candidates_M, exact_M)
            self._keep(self._candidates_M, exact_M)

    def _keep(self, positions: np.ndarray, exact: np.ndarray) -> None:
        self._exact_N[positions] = self._upper_N[positions] = exact
        self._seen_N[positions] = self._compared_N[positions] = self._distances.centers

    def _count(self, first: np.ndarray) -> None:
        self.pairs += int(self._distances.centers * len(first) - first.sum(dtype=np.int64))

    def _refresh(self) -> tuple[float, int]:
        """Choose candidates of which the farthest is farther than every other row; give the largest bound outside them.

        The bound comes as (squared distance, -position) of the first row that has it; (-1, 0) where no row is outside.
        """
        self.refreshes += 1
        while True:
            self._bring_up_to_date()
            self._candidates_M = _largest(self._upper_N, CANDIDATES)
            behind = self._candidates_M[self._compared_N[self._candidates_M] < self._distances.centers]
            behind = behind[np.argsort(self._compared_N[behind], kind="stable")]
            self._count(self._compared_N[behind])
            exact = self._distances.exact(behind, self._compared_N[behind], self._exact_N[behind])
            self._keep(behind, exact)
            exact_M = self._exact_N[self._candidates_M]
            best = int(np.argmax(exact_M))
            outside = self._outside()
            if (exact_M[best], -self._candidates_M[best]) > outside:
                return outside

    def _bring_up_to_date(self) -> None:
        """Update the rows with the largest bounds until enough of the updated ones stand above all that are not."""
        pulled, centers = CANDIDATES, self._distances.centers
        while True:
            behind_N = self._seen_N < centers
            stale_N = np.where(behind_N, self._upper_N, -1.0)
            highest = stale_N.max()
            fresh = self._upper_N[~behind_N & (self._upper_N >= 0)]
            enough = min(int(REFRESHED * CANDIDATES), np.count_nonzero(self._upper_N >= 0))
            if highest < 0 or np.count_nonzero(fresh > highest) >= enough:
                return
            floor = np.partition(fresh, len(fresh) - enough)[len(fresh) - enough] if len(fresh) >= enough else 0.0
            rows = _largest(stale_N, min(pulled, np.count_nonzero(stale_N >= floor)))
            rows = rows[np.argsort(self._seen_N[rows], kind="stable")]
            self._count(self._seen_N[rows])
            self._upper_N[rows] = np.minimum(self._upper_N[rows], self._distances.upper(rows, self._seen_N[rows]))
            self._seen_N[rows] = centers
            pulled *= 2

    def _outside(self) -> tuple[float, int]:
        inside = self._upper_N[self._candidates_M]
        self._upper_N[self._candidates_M] = -1
        first = int(np.argmax(self._upper_N))
        bound = float(self._upper_N[first])
        self._upper_N[self._candidates_M] = inside
        return (bound, -first) if bound >= 0 else (-1.0, 0)


def _largest(values_N: np.ndarray, count: int) -> np.ndarray:
    """Find the positions of the largest values from 0 on, ties by the earliest, in order of position."""
    count = min(count, np.count_nonzero(values_N >= 0))
    if not count:
        return np.empty(0, np.int64)
    least = np.partition(values_N, len(values_N) - count)[len(values_N) - count]
    above, equal = np.flatnonzero(values_N > least), np.flatnonzero(values_N == least)
    return np.sort(np.concatenate([above, equal[: count - len(above)]]))
