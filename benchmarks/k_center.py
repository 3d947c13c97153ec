"""Greedy k-center beside the plain algorithm, which passes over all rows for each pick: the same picks, and the time of both.

    python -m benchmarks.k_center                                                        # both to the end, a minute
    python -m benchmarks.k_center --rows 1000000 --picks 10000 --plain-picks 10          # the plain one for a few picks only

The rows are like embeddings: around some centers, of unit length, some nearer and some farther (`--data mixture`), or without
any structure, where no bound saves work (`--data noise`: uniform directions). They stand in a file that is memory-mapped.
The limits are measured in the same run: the matrix product of all rows and all picks at the speed of a product that fits into
the caches (GEMM), and all rows read from memory once for each pick at the speed of the plain pass.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.k_center import KCenter, KCenterConfig

BLOCK = 50_000


class FilePool:
    """A pool of embeddings alone."""

    def __init__(self, matrix_ND: np.ndarray):
        self.rows, self._matrix_ND = len(matrix_ND), matrix_ND

    def columns(self, *names: str):
        for start in range(0, self.rows, BLOCK):
            yield pa.table({"id": [str(row) for row in range(start, min(self.rows, start + BLOCK))]})

    def matrix(self, name: str) -> np.ndarray:
        return self._matrix_ND


def write(path: Path, rows: int, dims: int, data: str) -> np.ndarray:
    """Write embeddings to a file and map it into memory."""
    dice = np.random.default_rng(0)
    centers_CD = dice.standard_normal((max(1, rows // 1000), dims), dtype=np.float32)
    centers_CD /= np.linalg.norm(centers_CD, axis=1, keepdims=True)
    out_ND = np.lib.format.open_memmap(path, "w+", np.float32, (rows, dims))
    for start in range(0, rows, BLOCK):
        count = min(BLOCK, rows - start)
        block = dice.standard_normal((count, dims), dtype=np.float32)
        if data == "mixture":
            block *= 0.6 * dice.gamma(4, 0.25, (count, 1)).astype(np.float32) / np.sqrt(np.float32(dims))
            block += centers_CD[dice.integers(0, len(centers_CD), count)]
        out_ND[start : start + count] = block / np.linalg.norm(block, axis=1, keepdims=True)
    out_ND.flush()
    return np.load(path, mmap_mode="r")


def plain(rows_ND: np.ndarray, first: int, picks: int) -> list[int]:
    """The plain incremental greedy: for each pick a product of all rows with it, the minimum, the largest."""
    squares_N = np.einsum("nd,nd->n", rows_ND, rows_ND)
    nearest_N, chosen = np.full(len(rows_ND), np.inf, rows_ND.dtype), [first]
    while len(chosen) < picks:
        center = chosen[-1]
        distance_N = squares_N + squares_N[center] - 2 * (rows_ND @ rows_ND[center])
        np.minimum(nearest_N, np.maximum(distance_N, 0), out=nearest_N)
        nearest_N[chosen] = -1
        chosen.append(int(nearest_N.argmax()))
    return chosen


def timed(work) -> tuple[float, object]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def gemm_flops(dims: int) -> float:
    """Measure the floating-point operations per second of a product of blocks that stay in the caches."""
    left, right = np.ones((4096, dims), np.float32), np.ones((dims, 512), np.float32)
    out = left @ right
    seconds = min(timed(lambda: np.matmul(left, right, out=out))[0] for _ in range(50))
    return 2 * left.size * 512 / seconds


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dims", type=int, default=384)
    parser.add_argument("--picks", type=int, default=1_000)
    parser.add_argument("--plain-picks", type=int, help="so many picks of the plain algorithm; all unless given")
    parser.add_argument("--data", choices=["mixture", "noise"], default="mixture")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows_ND = write(Path(folder) / "embedding.npy", arguments.rows, arguments.dims, arguments.data)
        report(rows_ND, arguments.picks, min(arguments.plain_picks or arguments.picks, arguments.picks))


def report(rows_ND: np.ndarray, picks: int, plain_picks: int) -> None:
    rows, dims = rows_ND.shape
    print(f"{rows:,} x {dims} float32 ({rows_ND.nbytes / 2**30:.2f} GiB), {picks:,} picks")
    seconds, choice = timed(lambda: KCenter(KCenterConfig())(FilePool(rows_ND), Budget(BudgetConfig(rows=picks))))
    peak, computed = peak_gib(), choice.notes["distances_computed"] / (rows * picks)
    print(
        f"k_center      {seconds:8.1f} s, peak {peak:.2f} GiB with the mapped file, {computed:.1%} of all distances computed"
    )
    first = int(choice.positions[0])
    in_memory_ND = np.array(rows_ND)
    plain_s, chosen = timed(lambda: plain(in_memory_ND, first, plain_picks))
    per_pick = plain_s / plain_picks
    whole = "" if plain_picks == picks else f" for {plain_picks} picks, so {per_pick * picks:,.0f} s for all"
    print(f"plain float32 {plain_s:8.1f} s{whole}: {per_pick * picks / seconds:.0f} times k_center's")
    _compare("float32", chosen, choice.positions)
    if rows_ND.nbytes < 2**29:
        in_memory_ND = rows_ND.astype(np.float64)
        plain_s, chosen = timed(lambda: plain(in_memory_ND, first, plain_picks))
        print(f"plain float64 {plain_s:8.1f} s")
        _compare("float64", chosen, choice.positions)
    flops = gemm_flops(dims)
    limit_s = 2 * rows * dims * picks / flops
    print(
        f"GEMM limit    {limit_s:8.1f} s for all distances at {flops / 1e9:.0f} GFLOP/s, {limit_s / seconds:.2f} times k_center's"
    )
    print(
        f"              {computed * limit_s:8.1f} s for those computed: {computed * limit_s / seconds:.0%} of that speed"
    )


def _compare(name: str, plain_picks: list[int], positions: np.ndarray) -> None:
    same = np.array(plain_picks) == positions[: len(plain_picks)]
    print(
        f"              {'the same picks as' if same.all() else f'{np.argmin(same)} picks the same, then not, as'} plain {name}"
    )


if __name__ == "__main__":
    main()
