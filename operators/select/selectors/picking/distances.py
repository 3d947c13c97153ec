"""Squared distances from many rows to a growing list of centers: bounds by float32 matrix products, exact ones where they count.

A product is fast and inexact, so it only bounds: |x|^2 + |c|^2 - 2 x.c lies within E = (D + 40) * 2^-24 * (|x|^2 + |c|^2) of the
true value (rounding of a dot product of D terms, of the shifted rows and of their norms), however the library orders its sums.
What a bound cannot tell is looked up in float64 on the rows as they are: sum((x - c)^2). The mean is subtracted before the
products (distances stay, norms and so E shrink), and a power of two is taken out, so that no square overflows.

Shapes: N rows, D dimensions, K centers, R rows asked for, P pairs of a row and a center.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

ROWS, CENTERS = 2048, 512  # of one product: what a core's caches hold
PAIRS = 4096
TINY = 1e-30  # what may be lost where float32 has no smaller number, beside rows scaled to at most 1


class Distances:
    """Rows of one matrix (float32 or float16, may be memory-mapped) and the centers among them so far.

    `finite_N` tells the rows that have an embedding; the others must not be asked for. `centers` is the number of centers, K.
    """

    def __init__(self, matrix_ND: np.ndarray, threads: "Threads"):
        self._matrix_ND, self._threads = matrix_ND, threads
        rows, self.dimensions = matrix_ND.shape
        self._slack = (self.dimensions + 40) * 2.0**-24
        self.finite_N = np.zeros(rows, bool)
        mean_D, largest = self._look_through()
        exponent = np.ceil(np.log2(2 * np.sqrt(self.dimensions) * largest)) if largest else 0
        self._scale = np.float32(2.0 ** min(-exponent, 126))
        self._shift_D = (mean_D * self._scale).astype(np.float32)
        self._unit = float(self._scale) ** 2
        self._squares_N = np.zeros(rows)
        self._threads.each(self._norms, _blocks(np.flatnonzero(self.finite_N)))
        self.centers = 0
        self._positions_K = np.empty(0, np.int64)
        self._doubled_KD = np.empty((0, self.dimensions), np.float32)  # -2 c
        self._squares_K = np.empty(0, np.float32)

    def add_centers(self, positions: np.ndarray) -> None:
        """Make rows centers, after those that are."""
        start, end = self.centers, self.centers + len(positions)
        if end > len(self._positions_K):
            room = max(2 * len(self._positions_K), end, 1024)
            self._positions_K = np.resize(self._positions_K, room)
            self._doubled_KD = _longer(self._doubled_KD, room)
            self._squares_K = _longer(self._squares_K, room)
        self._positions_K[start:end] = positions
        self._doubled_KD[start:end] = -2 * self.shifted(positions)
        self._squares_K[start:end] = self._squares_N[positions]
        self.centers = end

    def shifted(self, positions_R: np.ndarray) -> np.ndarray:
        """Copy rows as the products want them: float32 (R, D), scaled and without the mean."""
        rows_RD = np.take(self._matrix_ND, positions_R, axis=0).astype(np.float32, copy=False)
        rows_RD *= self._scale
        rows_RD -= self._shift_D
        return rows_RD

    def upper(self, positions_R: np.ndarray, first_R: np.ndarray) -> np.ndarray:
        """Bound each row's squared distance to the nearest of the centers from number `first_R` on: float64 (R), never too small.

        Rows are taken together in the order given, so those with the same `first_R` should stand together.
        """
        upper_R = np.empty(len(positions_R))

        def block(part: slice) -> None:
            positions = positions_R[part]
            rows_RD, low_R = self.shifted(positions), np.full(len(positions), np.inf, np.float32)
            for centers in _slices(first_R[part].min(), self.centers):
                low_R = np.minimum(low_R, self._products(rows_RD, centers).min(axis=1))
            squares_R = self._squares_N[positions]
            upper_R[part] = np.maximum(squares_R + low_R + self._slack * squares_R + TINY, 0) / self._unit

        self._threads.each(block, _slices(0, len(positions_R), ROWS))
        return upper_R

    def exact(self, positions_R: np.ndarray, first_R: np.ndarray, known_R: np.ndarray) -> np.ndarray:
        """Give the smaller of `known_R` and the squared distance to the nearest center from number `first_R` on: float64 (R)."""
        exact_R = known_R.copy()

        def block(part: slice) -> None:
            positions, best_R = positions_R[part], exact_R[part]
            rows_RD = self.shifted(positions)
            for centers in _slices(first_R[part].min(), self.centers):
                products_RK = self._products(rows_RD, centers)
                row_P, center_P = np.nonzero(self._may_be_nearest(products_RK, positions, centers, best_R))
                self._lower(best_R, row_P, positions[row_P], self._positions_K[centers][center_P])

        self._threads.each(block, _slices(0, len(positions_R), ROWS))
        return exact_R

    def nearer(self, rows_RD: np.ndarray, positions_R: np.ndarray, known_R: np.ndarray) -> None:
        """Lower `known_R` (float64 (R), exact) by the last center alone. `rows_RD` are the `shifted` rows at these positions."""
        last = slice(self.centers - 1, self.centers)
        products_RK = (rows_RD @ self._doubled_KD[last][0])[:, None] + self._squares_K[last] * (
            1 + np.float32(self._slack)
        )
        row_P, _ = np.nonzero(self._may_be_nearest(products_RK, positions_R, last, known_R))
        self._lower(known_R, row_P, positions_R[row_P], np.broadcast_to(self._positions_K[last], len(row_P)))

    def _look_through(self) -> tuple[np.ndarray, float]:
        """Find the finite rows, their mean (float64 (D)) and their largest number."""
        total_D, largest = np.zeros(self.dimensions), 0.0
        for part in _slices(0, len(self._matrix_ND), ROWS):
            rows_RD = self._matrix_ND[part]
            finite_R = np.isfinite(rows_RD).all(axis=1)
            self.finite_N[part] = finite_R
            rows_RD = rows_RD if finite_R.all() else rows_RD[finite_R]
            total_D += rows_RD.sum(axis=0, dtype=np.float64)
            largest = max(largest, float(np.abs(rows_RD).max(initial=0)))
        return total_D / max(1, np.count_nonzero(self.finite_N)), largest

    def _norms(self, positions_R: np.ndarray) -> None:
        rows_RD = self.shifted(positions_R)
        self._squares_N[positions_R] = np.einsum("rd,rd->r", rows_RD, rows_RD, dtype=np.float64)

    def _products(self, rows_RD: np.ndarray, centers: slice) -> np.ndarray:
        """Give -2 x.c + |c|^2 and the share of E that grows with the center: float32 (R, K), all in units of the scaled rows."""
        products_RK = rows_RD @ self._doubled_KD[centers].T
        products_RK += self._squares_K[centers] * (1 + np.float32(self._slack))
        return products_RK

    def _may_be_nearest(self, products_RK, positions_R, centers: slice, known_R: np.ndarray) -> np.ndarray:
        """Mark the pairs whose lower bound is neither above another's upper bound nor at or above what is known: bool (R, K)."""
        squares_R = self._squares_N[positions_R]
        least_R = products_RK.min(axis=1) + (1 + self._slack) * squares_R + TINY
        most_R = np.minimum(least_R, known_R * self._unit) + (self._slack - 1) * squares_R + TINY
        return products_RK - 2 * np.float32(self._slack) * self._squares_K[centers] <= most_R[:, None].astype(
            np.float32
        )

    def _lower(self, known_R: np.ndarray, row_P: np.ndarray, position_P: np.ndarray, center_P: np.ndarray) -> None:
        for pairs in _slices(0, len(row_P), PAIRS):
            difference_PD = self._matrix_ND[position_P[pairs]].astype(np.float64)
            difference_PD -= self._matrix_ND[center_P[pairs]]
            np.minimum.at(known_R, row_P[pairs], np.square(difference_PD, out=difference_PD).sum(axis=1))


class Threads:
    """Some threads of this process, each with a BLAS of one thread: what stands between products runs side by side too."""

    def __init__(self, count: int):
        self._executor = ThreadPoolExecutor(count) if count > 1 else None

    def each(self, work: Callable, items: Iterator) -> None:
        """Do the work for each item; the first error is raised again."""
        for _ in self._executor.map(work, items) if self._executor else map(work, items):
            pass

    def close(self) -> None:
        if self._executor:
            self._executor.shutdown()


@contextmanager
def blas_threads() -> Iterator[Threads]:
    """Take over as many threads as BLAS may use here (OMP_NUM_THREADS, or the processors), and let it use one in each."""
    from threadpoolctl import threadpool_info, threadpool_limits

    count = max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1)
    threads = Threads(count)
    try:
        with threadpool_limits(1, "blas"):
            yield threads
    finally:
        threads.close()


def _slices(start: int, stop: int, step: int = CENTERS) -> Iterator[slice]:
    return (slice(low, min(low + step, stop)) for low in range(int(start), int(stop), step))


def _blocks(positions: np.ndarray) -> Iterator[np.ndarray]:
    return (positions[part] for part in _slices(0, len(positions), ROWS))


def _longer(array: np.ndarray, room: int) -> np.ndarray:
    longer = np.empty((room, *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer
