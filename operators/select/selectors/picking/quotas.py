"""How many rows each cluster may give.

Shapes: C clusters.
"""

import numpy as np

QUOTAS = ("equal", "sqrt")
ROUNDING = 1e-9  # a share that square roots in float64 leave so little below a whole row is that row


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
        more = np.floor(left * weights / weights.sum() + ROUNDING).astype(np.int64)
        if left < len(weights):  # a rest
            more = np.arange(len(weights)) < left
        more = np.minimum(more, sizes_C[open_clusters] - quotas_C[open_clusters])
        quotas_C[open_clusters] += more
        left -= int(more.sum())
    return quotas_C
