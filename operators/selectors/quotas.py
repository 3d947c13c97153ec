"""How many rows each cluster may give.

Shapes: C clusters.
"""

import numpy as np

QUOTAS = ("equal", "sqrt")


def quotas(sizes_C: np.ndarray, rows: int, rule: str) -> np.ndarray:
    """Share `rows` out to clusters of these sizes: int64 (C), none above its size, together `rows` or all there are.

    `equal` gives each the same, `sqrt` in proportion to the square root of its size. What a cluster cannot give is shared again
    among those that are not used up, and a rest smaller than their number goes one each by cluster number.
    """
    sizes_C = np.asarray(sizes_C, np.int64)
    quotas_C, left = np.zeros(len(sizes_C), np.int64), min(rows, int(sizes_C.sum()))
    weights_C = np.sqrt(sizes_C) if rule == "sqrt" else np.ones(len(sizes_C))
    while left:
        open_clusters = np.flatnonzero(quotas_C < sizes_C)
        weights = weights_C[open_clusters]
        more = np.floor(left * weights / weights.sum() if left >= len(weights) else 0 * weights).astype(np.int64)
        if not more.any():  # a rest, or shares of one row each that rounding left a little below
            more[:left] = 1
        more = np.minimum(more, sizes_C[open_clusters] - quotas_C[open_clusters])
        quotas_C[open_clusters] += more
        left -= int(more.sum())
    return quotas_C
