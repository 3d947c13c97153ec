"""Work orders: how rows travel through Ray Data.

An order is the unit of work: the requests of consecutive documents of one split (a range of one input file), cut in the
same way whatever the cluster looks like. In Ray Data one order is one row, and one block holds one order, so nothing that
Ray does with blocks (splitting, merging, retrying, reordering) can tear an order apart or move its borders.
"""

import itertools
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from operators.storage.base import END, UNREADABLE

REQUESTS = 128  # of an order, about: enough to keep Ray's cost per order small, few enough to lose little with one
START = 0  # where every split begins; it ends at END

Point = tuple[int, int]  # a record's position in its file, and a chunk's index in the document there
Span = tuple[Point, Point]  # from a place up to, not including, another
WHOLE: Span = ((START, 0), (END, 0))  # all places of a split


@dataclass(frozen=True)
class Order:
    """Rows of one split between two places."""

    split: str
    span: Span
    rows: pa.Table

    def to_block(self) -> pa.Table:
        """Make it one row of a Ray Data block.

        The rows stand in one cell, in Arrow's own stream format: Ray takes apart nested columns value by value.
        """
        stream = pa.BufferOutputStream()
        with pa.ipc.new_stream(stream, self.rows.schema) as writer:
            writer.write_table(self.rows)
        (begin, begin_chunk), (end, end_chunk) = self.span
        return pa.table(
            {
                "split": [self.split],
                "begin": [begin],
                "begin_chunk": [begin_chunk],
                "end": [end],
                "end_chunk": [end_chunk],
                "rows": _one_cell(stream.getvalue()),
            }
        )

    def with_rows(self, rows: pa.Table) -> "Order":
        return Order(self.split, self.span, rows)


def from_block(block: pa.Table) -> Iterator[Order]:
    """Give the orders of a Ray Data block, normally one."""
    for index in range(len(block)):
        row = block.slice(index, 1)
        split, begin, begin_chunk, end, end_chunk = (row[name][0].as_py() for name in block.column_names[:5])
        rows = pa.ipc.open_stream(row["rows"][0].as_buffer()).read_all()
        yield Order(split, ((begin, begin_chunk), (end, end_chunk)), rows)


def _one_cell(content: pa.Buffer) -> pa.LargeBinaryArray:
    """Make an array of one value without copying it."""
    offsets = pa.array([0, content.size], pa.int64()).buffers()[1]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), 1, [None, offsets, content])


def cut(
    split: str, begin: int, end: int, requests: pa.Table, whole_documents: bool, requests_per_order: int = REQUESTS
) -> Iterator[Order]:
    """Cut the requests of the documents between two positions into orders of about so many requests.

    Borders fall between chunks, never between the styles of one; with `whole_documents` only between documents.
    """
    places = _places(requests)
    first = np.flatnonzero(np.r_[True, (places[1:] != places[:-1]).any(axis=1)]) if len(requests) else np.array([], int)
    if whole_documents:
        first = first[np.r_[True, np.diff(places[first, 0]) != 0]] if len(first) else first
    starts = [0] if len(requests) else []
    for border in first:
        if starts and border - starts[-1] >= requests_per_order:
            starts.append(int(border))
    borders = [(begin, 0), *((int(places[s, 0]), int(places[s, 1])) for s in starts[1:]), (end, 0)]
    for start, stop, span in zip(starts or [0], [*starts[1:], len(requests)], _pairs(borders), strict=True):
        yield Order(split, span, requests.slice(start, stop - start))


def _places(requests: pa.Table) -> np.ndarray:
    """Position and chunk index of each row: int64 (rows, 2). Whole documents stand with their first chunk."""
    chunk = requests["chunk_index"].fill_null(0).to_numpy().astype(np.int64)
    return np.stack([requests["position"].to_numpy(), chunk], axis=1)


def _pairs(borders: list[Point]) -> list[Span]:
    return list(itertools.pairwise(borders))


def as_span(words: list) -> Span:
    """Make a span of what JSON makes of it."""
    begin, end = words
    return tuple(begin), tuple(end)


class Spans:
    """A set of places, kept as sorted spans that do not touch."""

    def __init__(self, spans: Iterable[Span] = ()):
        self.spans: list[Span] = []
        for begin, end in sorted(spans):
            if self.spans and begin <= self.spans[-1][1]:
                self.spans[-1] = (self.spans[-1][0], max(end, self.spans[-1][1]))
            else:
                self.spans.append((begin, end))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spans) and self.spans == other.spans

    @property
    def complete(self) -> bool:
        """Whether the whole split is in the set."""
        return self.spans == [WHOLE]

    def outside(self, span: Span) -> list[Span]:
        """Give what of a span is not in the set."""
        begin, end = span
        rest = []
        at = max(bisect_right(self.spans, begin, key=itemgetter(0)) - 1, 0)
        for taken, free in itertools.takewhile(lambda other: other[0] < end, self.spans[at:]):
            if begin < taken:
                rest.append((begin, taken))
            begin = max(begin, free)
        return [*rest, (begin, end)] if begin < end else rest

    def without(self, spans: Iterable[Span]) -> "Spans":
        """Give the set without the places of some spans."""
        gone = Spans(spans)
        return Spans(rest for span in self.spans for rest in gone.outside(span))

    def positions(self) -> list[tuple[int, int]]:
        """Give the ranges of positions whose documents are in the set with all their chunks."""
        ranges = [(begin if chunk == 0 else begin + 1, end) for (begin, chunk), (end, _) in self.spans]
        return [(begin, end) for begin, end in ranges if begin < end]


def shared_out(rows: pa.Table, stretches: list[Span]) -> list[pa.Table]:
    """Give the rows that lie in each of some stretches.

    A rejected document is one row, which lies wherever anything of the document does; one that stands for the rest of its file
    lies in the first stretch, or what it tells of would be settled without a word.
    """
    homes = [
        _home(row, place, stretches)
        for row, place in zip(_fates(rows), map(tuple, _places(rows).tolist()), strict=True)
    ]
    return [rows.filter(pa.array([home == index for home in homes], pa.bool_())) for index in range(len(stretches))]


def _fates(rows: pa.Table) -> Iterator[tuple[str | None, str | None]]:
    """Give style and reason of each row."""
    return zip(rows["style"].to_pylist(), rows["reason"].to_pylist(), strict=True)


def _home(fate: tuple[str | None, str | None], place: Point, stretches: list[Span]) -> int | None:
    """Give the number of the stretch in which a row lies."""
    style, reason = fate
    end = place if style else (place[0] + 1, 0)
    meets = (i for i, (first, last) in enumerate(stretches) if first <= place < last or place <= first < end)
    return next(meets, 0 if reason == UNREADABLE else None)


class Unit(NamedTuple):
    """A unit that is to be done again while the others of its chunk stay: the row `id` of a chunk."""

    position: int
    chunk: int
    id: str

    @property
    def span(self) -> Span:
        return (self.position, self.chunk), (self.position, self.chunk + 1)


def wanted(rows: pa.Table, redo: Collection[Unit]) -> np.ndarray:
    """Tell which rows to work on: bool (rows,). Of chunks of which units are to be done again only these, of others all.

    A document that is rejected now is told in any case.
    """
    chunks, ids = {unit.span[0] for unit in redo}, {unit.id for unit in redo}
    keys = zip(map(tuple, _places(rows).tolist()), rows["id"].to_pylist(), rows["style"].to_pylist(), strict=True)
    return np.array([place not in chunks or id in ids or style is None for place, id, style in keys], dtype=bool)
