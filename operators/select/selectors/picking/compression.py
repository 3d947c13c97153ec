"""Lists of rows as zlib sees them: how far a list with one row more would compress, without compressing the list again.

What deflate writes depends on the bytes alone, not on where the input is cut, as long as nothing is flushed in between. So the
rows that every candidate shares are fed once, the state is copied for each candidate, and the copy is finished: the sizes are
those of `zlib.compress` of the whole list, byte for byte, at a cost that does not grow with the list.

Shapes: N rows of the pool, C candidates.
"""

import json
import os
import tempfile
import zlib
from array import array
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import accumulate, islice

import numpy as np

from operators.select.selectors.base import TEXT

LEVEL = 9


@dataclass(frozen=True)
class Form:
    """How a list of rows is written as bytes: what stands before, between and behind its rows, and a row itself."""

    column: str  # of the pool, from which a row is written
    opening: bytes
    between: bytes
    closing: bytes
    row: Callable[[str], bytes]


FORMS = {
    # What is said: no ids, keys, quotes and escapes, so that the ratio measures the text.
    "text": Form(TEXT, b"", b"\n\n", b"", str.encode),
    # Python's str() of the list of records, which the official code compresses.
    "repr": Form("record", b"[", b", ", b"]", lambda record: repr(json.loads(record)).encode()),
}


class List:
    """A list of rows that grows at its end. Not to be shared between threads; the work is spread over them inside."""

    def __init__(self, form: Form, threads: Executor, count: int):
        self._form, self._threads, self._count = form, threads, count
        self._state = zlib.compressobj(LEVEL)
        self._read, self._written = 0, 0
        self._feed(form.opening)

    def append(self, row: bytes) -> None:
        self._feed(row + self._form.between)

    def ratios(self, rows: Sequence[bytes]) -> np.ndarray:
        """Give bytes / compressed bytes of this list with each of the rows at its end: float64 (C)."""
        # zlib works outside the interpreter's lock, so threads are enough; each has a state of its own to copy.
        states = [self._state.copy() for _ in range(min(self._count, len(rows)))]
        shares = [rows[first :: len(states)] for first in range(len(states))]
        ratios_C = np.empty(len(rows))
        for first, share in enumerate(self._threads.map(self._ratios, states, shares)):
            ratios_C[first :: len(states)] = share
        return ratios_C

    def _feed(self, data: bytes) -> None:
        self._read += len(data)
        self._written += len(self._state.compress(data))

    def _ratios(self, state, rows: Sequence[bytes]) -> list[float]:
        # A state is a quarter of a megabyte at the end of the heap: given back to the system and fetched again each time, it
        # costs ten times as much as to copy it. Another one behind it keeps the place for the next.
        place, behind = state.copy(), state.copy()
        ratios = []
        for row in rows:
            del place
            place = state.copy()
            written = len(place.compress(row + self._form.closing)) + len(place.flush())
            ratios.append((self._read + len(row) + len(self._form.closing)) / (self._written + written))
        del behind
        return ratios


class RowBytes:
    """The bytes of all rows of a pool in a temporary file, by position: memory holds where each begins, and no more."""

    def __init__(self):
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._starts = array("q", [0])

    def __enter__(self) -> "RowBytes":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def extend(self, rows: Sequence[bytes]) -> None:
        self._file.writelines(rows)
        ends = accumulate(map(len, rows), initial=self._starts[-1])
        self._starts.extend(islice(ends, 1, None))

    def read(self, positions: Iterable[int]) -> list[bytes]:
        self._file.flush()
        file, starts = self._file.fileno(), self._starts
        return [os.pread(file, starts[row + 1] - starts[row], starts[row]) for row in positions]
