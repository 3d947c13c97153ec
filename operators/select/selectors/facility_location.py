"""Facility location on embeddings: rows of which every row of the pool has a similar one.

Shapes: N rows of the pool, R rows that are to be represented, C candidates, J neighbours of each, E pairs of the two.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from operators.select.selectors.base import Budget, Choice, Pool
from operators.select.selectors.picking.columns import with_reasons
from operators.select.selectors.picking.neighbours import nearest
from operators.select.selectors.picking.picks import check_number, drawn, finite_rows, left_out, picked
from operators.settings import setting

ROUNDING = 1 + 1e-12  # sums of the same numbers in another order


@dataclass
class FacilityLocationConfig:
    neighbours: int = setting(64, "most similar rows that can stand for a row; similarities to all others count as 0")
    shards: int = setting(
        1,
        "parts of the pool that are first chosen from alone, the whole budget each, before the choice among these: "
        "for pools from about 200,000 rows, as the cost is rows x rows / shards",
    )
    seed: int = setting(0, "seed of the shards")

    def __post_init__(self):
        check_number("facility_location.neighbours", self.neighbours, 1)
        check_number("facility_location.shards", self.shards, 1)


class FacilityLocation:
    """Choose rows that make sum_i max_j max(0, cosine(i, j)) large, j over the chosen: greedily, ties by the earliest position.

    With `neighbours` as large as the pool this is the exact objective; fewer leave out small similarities. The score is the gain
    of each pick. With shards, rows are spread over them by their ids, and the second round chooses among the picks of all
    shards, which are measured by all rows of the pool.
    Sources: Nemhauser et al. (1978); lazy evaluation, Minoux (1978); shards, GreeDi, arXiv:1411.0541.
    """

    Config = FacilityLocationConfig
    asks = ()
    reads = ("id", *with_reasons("embedding"))

    def __init__(self, config: FacilityLocationConfig):
        self.config = config

    def __call__(self, pool: Pool, budget: Budget) -> Choice:
        matrix_ND = pool.matrix("embedding")
        finite_N = finite_rows(matrix_ND)
        rows_R = np.flatnonzero(finite_N)
        excluded = left_out(pool, finite_N, "embedding")
        rows = budget.rows(len(rows_R), excluded)
        candidates_C = self._candidates(pool, matrix_ND, rows_R, budget, rows)
        picks = self._greedy(matrix_ND, rows_R, candidates_C)
        positions, gains = picked(picks, budget, rows)
        notes = {"without_gain": int(np.count_nonzero(gains == 0)), "candidates": len(candidates_C)}
        return Choice(positions, gains, excluded, notes)

    def _candidates(self, pool: Pool, matrix_ND, rows_R: np.ndarray, budget: Budget, rows: int) -> np.ndarray:
        """Give the rows to choose among, ascending: all of them, or what the shards chose."""
        if self.config.shards == 1:
            return rows_R
        shard_R = (drawn(pool, self.config.seed)[rows_R] * self.config.shards).astype(np.int64)
        chosen = []
        for shard in range(self.config.shards):
            own = rows_R[shard_R == shard]
            chosen.append(picked(self._greedy(matrix_ND, own, own), budget, min(rows, len(own)))[0])
        return np.sort(np.concatenate(chosen))

    def _greedy(self, matrix_ND, rows_R: np.ndarray, candidates_C: np.ndarray) -> Iterator[tuple[int, float]]:
        if not len(candidates_C):
            return iter(())
        cosine_RJ, number_RJ = nearest(matrix_ND, rows_R, candidates_C, self.config.neighbours)
        picks = lazy_greedy(cosine_RJ, number_RJ, len(candidates_C))
        return ((int(candidates_C[number]), gain) for number, gain in picks)


def lazy_greedy(similarity_RJ: np.ndarray, number_RJ: np.ndarray, candidates: int) -> Iterator[tuple[int, float]]:
    """Yield candidates by what each adds to sum_i max_j similarity: (number, gain), ties by the smallest number.

    Row i has the similarities (R, J) to the candidates with these numbers, 0 to others and where it is negative. A gain that was
    computed earlier can only have shrunk since, so only candidates that come to the top are computed again: the picks are those
    of the algorithm that computes all.
    """
    row_E, similarity_E, start_C = _by_candidate(similarity_RJ, number_RJ, candidates)
    covered_R = np.zeros(len(similarity_RJ))
    bounds = np.bincount(number_RJ.ravel(), np.maximum(similarity_RJ, 0).ravel(), candidates) * ROUNDING
    heap = [(-bound, number, -1) for number, bound in enumerate(bounds.tolist())]
    heapq.heapify(heap)
    chosen = 0
    while heap:
        bound, number, computed = heap[0]
        part = slice(start_C[number], start_C[number + 1])
        if computed < chosen:
            gain = np.maximum(similarity_E[part] - covered_R[row_E[part]], 0).sum()
            heapq.heapreplace(heap, (-float(gain), number, chosen))
            continue
        heapq.heappop(heap)
        covered_R[row_E[part]] = np.maximum(covered_R[row_E[part]], similarity_E[part])
        chosen += 1
        yield number, -bound


def _by_candidate(similarity_RJ, number_RJ, candidates: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turn lists of rows into lists of candidates: the rows (E), similarities float64 (E), and where each list starts (C + 1)."""
    order_E = np.argsort(number_RJ, axis=None, kind="stable")
    start_C = np.concatenate([[0], np.cumsum(np.bincount(number_RJ.ravel(), minlength=candidates))])
    row_E = (order_E // number_RJ.shape[1]).astype(np.int32)
    return row_E, similarity_RJ.ravel()[order_E].astype(np.float64), start_C
