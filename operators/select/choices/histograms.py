"""Histograms of lengths and of scores, of a choice against its pool.

Shapes: N rows of the pool, M chosen rows, K bins.
"""

import numpy as np

from operators.select.choices.base import Chosen, Histogram
from operators.select.choices.survey import LengthSurvey

BINS = 30
TAIL = 0.005  # share of scores at either end that the first and the last bin take in


def length_histogram(label: str, chosen: LengthSurvey, pool: LengthSurvey) -> Histogram:
    """Count tokens in bins that grow by a factor, the same for every choice of one pool while none is longer than the pool."""
    longest = max(len(chosen.counts), len(pool.counts))
    edges = np.unique(np.geomspace(1, max(2, longest), BINS + 1).round())
    edges[0] = 0
    of_pool = _shares(pool, edges) if pool.rows else None
    return Histogram(label, edges.tolist(), _shares(chosen, edges), of_pool)


def _shares(lengths: LengthSurvey, edges: np.ndarray) -> list[float]:
    ends = np.concatenate([[0], np.cumsum(lengths.counts)])
    below = ends[np.minimum(edges.astype(int), len(lengths.counts))]
    return (np.diff(below) / lengths.rows).tolist()


def score_histogram(chosen: Chosen) -> Histogram:
    """Count finite scores in equal bins; the outermost bins take in what lies beyond them."""
    scores_M = _finite(chosen.scores_M)
    pool_N = _finite(chosen.pool_scores_N) if chosen.pool_scores_N is not None else scores_M[:0]
    low, high = np.quantile(np.concatenate([pool_N, scores_M]), [TAIL, 1 - TAIL])
    low, high = min(low, scores_M.min()), max(high, scores_M.max())  # what was chosen is shown whole
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    of_pool = _share(pool_N, edges) if len(pool_N) else None
    return Histogram(chosen.label, edges.tolist(), _share(scores_M, edges), of_pool)


def _share(scores: np.ndarray, edges: np.ndarray) -> list[float]:
    return (np.histogram(np.clip(scores, edges[0], edges[-1]), edges)[0] / len(scores)).tolist()


def _finite(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, np.float64)
    return scores[np.isfinite(scores)]
