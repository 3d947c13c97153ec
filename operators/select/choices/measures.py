"""Measures of one set of texts or vectors: how much they repeat themselves, and how much of a pool they cover.

Shapes: N vectors of E dimensions, P of them probes of the pool, K clusters.
"""

import math
import zlib
from collections.abc import Sequence
from itertools import islice, pairwise

import numpy as np
from icu4py.breakers import WordBreaker

LEVEL = 9
TILE = 1024  # probes whose distances are worked on at once


def clipped(texts: Sequence[str], size: int) -> bytes:
    """Join texts with a line end between two, and cut them after so many bytes."""
    parts, room = [], size
    for text in texts:
        if room <= 0:
            break
        parts.append(text.encode(errors="replace") + b"\n")
        room -= len(parts[-1])
    return b"".join(parts)[:size]


def compression_ratio(text: bytes) -> float | None:
    """Give bytes before by bytes after zlib at its strongest: low where little repeats. Source: ZIP, arXiv:2407.06645."""
    return len(text) / len(zlib.compress(text, LEVEL)) if text else None


def words_of(texts: Sequence[str], limit: int) -> list[list[str]]:
    """Cut texts into words (ICU, every language; white space left out) until there are so many."""
    words, room = [], limit
    for text in texts:
        if room <= 0:
            break
        words.append(list(islice((word for word in WordBreaker(text, "en") if not word.isspace()), room)))
        room -= len(words[-1])
    return words


def distinct(words: Sequence[Sequence[str]], length: int, limit: int) -> float | None:
    """Give the share of different ones among the runs of `length` words, inside texts, of the first `limit` words.

    Comparable at an equal number of words alone. Source: Li et al., arXiv:1510.03055 (distinct-1 and distinct-2).
    """
    seen, count, room = set(), 0, limit
    for text in words:
        of_text = text[:room]
        room -= len(of_text)
        runs = list(pairwise(of_text)) if length == 2 else of_text
        seen.update(runs)
        count += len(runs)
    return len(seen) / count if count else None


def mean_pairwise_distance(vectors_NE: np.ndarray) -> float | None:
    """Give 1 - cosine, in the mean of all pairs of different rows. The rows have length 1."""
    count = len(vectors_NE)
    if count < 2:
        return None
    total_E = vectors_NE.sum(0, dtype=np.float64)
    squares = float(np.square(vectors_NE, dtype=np.float64).sum())
    return 1 - (float(total_E @ total_E) - squares) / (count * (count - 1))


def mean_nearest_distance(probes_PE: np.ndarray, vectors_NE: np.ndarray) -> float | None:
    """Give 1 - cosine of each probe to its nearest vector, in the mean. All rows have length 1."""
    if not len(probes_PE) or not len(vectors_NE):
        return None
    tiles = (probes_PE[begin : begin + TILE] @ vectors_NE.T for begin in range(0, len(probes_PE), TILE))
    return float(1 - np.concatenate([tile.max(1) for tile in tiles]).mean(dtype=np.float64))


def expected_hits(sizes_K: np.ndarray, drawn: int) -> float:
    """Count the clusters that a random choice of `drawn` of all rows hits in the mean. `sizes_K` may be estimates."""
    total = float(sizes_K.sum())
    return float(sum(1 - _missed(total, float(size), drawn) for size in sizes_K))


def _missed(total: float, size: float, drawn: int) -> float:
    """Give the probability that none of `size` rows is drawn: C(total - size, drawn) / C(total, drawn)."""
    if drawn > total - size:
        return 0.0
    ways = math.lgamma(total - size + 1) - math.lgamma(total - size - drawn + 1)
    return math.exp(ways - math.lgamma(total + 1) + math.lgamma(total - drawn + 1))
