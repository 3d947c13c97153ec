"""Cosines of rows, in float32 by products and in float64 by pairs; and the nearest rows (faiss), exact.

Shapes: N rows, D dimensions, R rows asked about, C candidates, J neighbours of each, P pairs.
"""

import numpy as np

ROWS, PAIRS = 8192, 4096  # at a time


def unit_rows(matrix_ND: np.ndarray, positions_R: np.ndarray) -> np.ndarray:
    """Copy rows at length 1: float32 (R, D). A row of zeros stays one."""
    rows_RD = matrix_ND[positions_R].astype(np.float64)
    norms_R = np.sqrt(np.square(rows_RD).sum(axis=1))
    rows_RD /= np.where(norms_R, norms_R, 1)[:, None]
    return rows_RD.astype(np.float32)


def cosines(left_PD: np.ndarray, right_PD: np.ndarray) -> np.ndarray:
    """Give the cosine of each pair of rows in float64: (P). It is 0 where one of them is all zeros."""
    left_PD, right_PD = left_PD.astype(np.float64), right_PD.astype(np.float64)
    norm_P = np.sqrt(np.square(left_PD).sum(axis=1)) * np.sqrt(np.square(right_PD).sum(axis=1))
    return np.clip((left_PD * right_PD).sum(axis=1) / np.where(norm_P, norm_P, 1), -1, 1)


def margin(dimensions: int) -> float:
    """Bound how far the product of two unit rows in float32 is from their cosine, in whatever order the library sums."""
    return (dimensions + 40) * 2.0**-24


def nearest(
    matrix_ND: np.ndarray, rows_R: np.ndarray, candidates_C: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find for each row the `count` candidates with the largest cosine, itself among them where it is a candidate.

    Rows and candidates are positions, candidates in ascending order. Returns cosines float32 (R, J) and candidates' numbers
    int32 (R, J), J = min(count, C). Costs R x C x D. A pair has the same cosine from either side, 1 with itself: what is the same
    for two rows is the same in their numbers too. Which of several candidates come last in a list is float32's to tell.
    """
    import faiss

    index = faiss.IndexFlatIP(matrix_ND.shape[1])
    for start in range(0, len(candidates_C), ROWS):
        index.add(unit_rows(matrix_ND, candidates_C[start : start + ROWS]))
    count = min(count, len(candidates_C))
    cosine_RJ, number_RJ = np.empty((len(rows_R), count), np.float32), np.empty((len(rows_R), count), np.int32)
    for start in range(0, len(rows_R), ROWS):
        part = slice(start, start + ROWS)
        number_RJ[part] = index.search(unit_rows(matrix_ND, rows_R[part]), count)[1]
    own_R = np.minimum(np.searchsorted(candidates_C, rows_R), len(candidates_C) - 1)
    missing = np.flatnonzero((candidates_C[own_R] == rows_R) & ~(number_RJ == own_R[:, None]).any(axis=1))
    number_RJ[missing, -1] = own_R[missing]  # too many copies of it have crowded it out
    for start in range(0, len(rows_R), max(1, PAIRS // count)):
        part = slice(start, start + max(1, PAIRS // count))
        other_P = candidates_C[number_RJ[part].ravel()]
        row_P = np.repeat(rows_R[part], count)
        cosine_P = np.where(row_P == other_P, 1, cosines(matrix_ND[row_P], matrix_ND[other_P]))
        cosine_RJ[part] = cosine_P.reshape(-1, count)
    return cosine_RJ, number_RJ
