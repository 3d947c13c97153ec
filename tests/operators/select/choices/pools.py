"""A small pool with every column that a report knows, and choices out of it."""

import numpy as np
import pyarrow as pa

from operators.select.choices import Chosen

WORDS = "mill river stone flour wheel water grain bread <script>alert(1)</script> 물레방아는 강가에 서 있다".split()


def pool_of(rows: int, seed: int = 0, dimensions: int = 8) -> pa.Table:
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, rng.integers(3, 12))) for _ in range(rows)]
    vectors_NE = rng.normal(size=(rows, dimensions)).astype(np.float32)
    return pa.table(
        {
            "id": [f"row-{row}" for row in range(rows)],
            "text": pa.array(texts, pa.large_string()),
            "prompt_tokens": pa.array(rng.integers(1, 50, rows), pa.int32()),
            "answer_tokens": pa.array(rng.integers(1, 400, rows), pa.int32()),
            "source": rng.choice(["web", "<b>forum</b>"], rows).tolist(),
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors_NE.reshape(-1)), dimensions),
        }
    )


def parts(table: pa.Table, rows: int = 37) -> list[pa.Table]:
    return [table.slice(begin, rows) for begin in range(0, len(table), rows)]


def chosen_of(pool: pa.Table, name: str, positions: list[int], **details) -> Chosen:
    positions_M = np.array(positions, np.int64)
    return Chosen(name, positions_M, parts(pool.take(positions_M)), **details)
