"""K-means over embeddings (faiss): trained on a sample, all rows assigned in blocks.

Shapes: N rows of the pool, D dimensions, C clusters, R rows of one block.
"""

import numpy as np

from operators.select.selectors.picking.picks import finite_rows

ROWS = 16_384
NO_CLUSTER = -1


def k_means(
    matrix_ND: np.ndarray, clusters: int, iterations: int, sample: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cluster the rows whose numbers are all finite: labels int32 (N), NO_CLUSTER for others, and centers float32 (C, D).

    At most `sample` rows for each cluster are drawn to train on. Fewer rows than clusters make as many clusters as rows.
    """
    import faiss

    rows = np.flatnonzero(finite_rows(matrix_ND))
    labels_N = np.full(len(matrix_ND), NO_CLUSTER, np.int32)
    if not len(rows):
        return labels_N, np.empty((0, matrix_ND.shape[1]), np.float32)
    clusters = min(clusters, len(rows))
    drawn, scale = rows, _scale(matrix_ND, rows)
    if len(rows) > clusters * sample:
        drawn = np.sort(np.random.default_rng(seed).choice(rows, clusters * sample, replace=False))
    trained = faiss.Kmeans(
        matrix_ND.shape[1],
        clusters,
        niter=iterations,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=max(sample, len(drawn)),
    )
    trained.train(matrix_ND[drawn].astype(np.float32) * scale)
    for start in range(0, len(rows), ROWS):
        part = rows[start : start + ROWS]
        labels_N[part] = trained.index.search(matrix_ND[part].astype(np.float32) * scale, 1)[1][:, 0]
    return labels_N, trained.centroids / scale


def _scale(matrix_ND: np.ndarray, rows: np.ndarray) -> np.float32:
    """Find the power of two that brings the largest number to at most 1: clusters stay, and their squares fit into float32."""
    parts = (matrix_ND[rows[start : start + ROWS]] for start in range(0, len(rows), ROWS))
    largest = max(float(np.abs(part).max()) for part in parts)
    return np.float32(2.0 ** min(-np.ceil(np.log2(largest)), 126)) if largest else np.float32(1)


def squared_distances(matrix_ND: np.ndarray, labels_N: np.ndarray, centers_CD: np.ndarray) -> np.ndarray:
    """Measure each row's squared distance to its cluster's center: float64 (N), NaN for rows of no cluster."""
    squared_N = np.full(len(labels_N), np.nan)
    rows = np.flatnonzero(labels_N != NO_CLUSTER)
    for start in range(0, len(rows), ROWS):
        part = rows[start : start + ROWS]
        difference_RD = matrix_ND[part].astype(np.float64) - centers_CD[labels_N[part]]
        squared_N[part] = np.square(difference_RD, out=difference_RD).sum(axis=1)
    return squared_N
