"""A table in slabs of rows of like length, each prepared while the model is at work on the one before."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MOST_BATCHES = 16  # in a slab: enough that few of them are not full
BYTES_OF_A_TOKEN = 4

Prepared = TypeVar("Prepared")


def slabs(rows: pa.Table, batch_tokens: int) -> Iterator[np.ndarray]:
    """Cut rows into slabs, those with the longest records first: the numbers of the rows of each.

    The first has about a batch of tokens, so that the model does not wait long for it; the next ones are larger.
    """
    bytes_N = pc.binary_length(rows["record"]).to_numpy().astype(np.int64)
    order = np.argsort(-bytes_N, kind="stable")
    ends, size, begin = np.cumsum(bytes_N[order]), 1, 0
    while begin < len(order):
        before = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + size * batch_tokens * BYTES_OF_A_TOKEN, side="right")))
        yield order[begin:end]
        begin, size = end, min(2 * size, MOST_BATCHES)


def prepared(
    rows: pa.Table, batch_tokens: int, prepare: Callable[[pa.Table], Prepared]
) -> Iterator[tuple[np.ndarray, Prepared]]:
    """Yield the rows' numbers and what `prepare` makes of them, slab by slab; a thread is one slab ahead."""
    with ThreadPoolExecutor(1) as thread:
        ahead = None
        for numbers in slabs(rows, batch_tokens):
            upcoming = numbers, thread.submit(prepare, rows.take(pa.array(numbers)))
            if ahead:
                yield ahead[0], ahead[1].result()
            ahead = upcoming
        if ahead:
            yield ahead[0], ahead[1].result()
