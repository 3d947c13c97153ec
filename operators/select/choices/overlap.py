"""How choices overlap, and how they would by chance."""

from itertools import combinations
from typing import Any

import numpy as np

from operators.select.choices.base import Chosen


def jaccard(shared: int, one: int, other: int) -> float | None:
    """Give shared rows by rows of both; None where both are empty."""
    union = one + other - shared
    return shared / union if union else None


def expected_shared(rows: int, one: int, other: int) -> float:
    """Count the rows that two choices of `rows` share in the mean where one of them is random."""
    return one * other / rows if rows else 0.0


def pairs(chosen: list[Chosen], rows: int) -> list[dict[str, Any]]:
    """Compare every choice with every other: shared rows and Jaccard index, each also as expected by chance.

    The index by chance is that of the expected number of shared rows.
    """
    sets = [np.unique(each.positions_M) for each in chosen]
    out = []
    for (one, one_M), (other, other_M) in combinations(zip(chosen, sets, strict=True), 2):
        shared = len(np.intersect1d(one_M, other_M, assume_unique=True))
        by_chance = expected_shared(rows, len(one_M), len(other_M))
        out.append(
            {
                "one": one.label,
                "other": other.label,
                "shared": shared,
                "jaccard": jaccard(shared, len(one_M), len(other_M)),
                "shared_by_chance": by_chance,
                "jaccard_by_chance": jaccard(by_chance, len(one_M), len(other_M)),
            }
        )
    return out
