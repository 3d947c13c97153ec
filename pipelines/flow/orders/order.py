"""Work orders: how rows travel through Ray Data.

An order is the unit of work: the requests of consecutive documents of one split (a range of one input file), cut in the
same way whatever the cluster looks like. In Ray Data one order is one row, and one block holds one order, so nothing that
Ray does with blocks (splitting, merging, retrying, reordering) can tear an order apart or move its borders.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.ledger.spans import Span


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


def cut(order: Order, calls_per_order: int, calls_per_row: int = 1, whole_documents: bool = False) -> Iterator[Order]:
    """Cut an order into smaller ones of about so many calls.

    Borders fall between chunks, never between the rows of one; with `whole_documents` only between documents.
    """
    rows_per_order = max(1, calls_per_order // calls_per_row)
    places = places_of(order.rows)
    first = np.flatnonzero(np.r_[True, (places[1:] != places[:-1]).any(axis=1)]) if len(places) else np.array([], int)
    if whole_documents:
        first = first[np.r_[True, np.diff(places[first, 0]) != 0]] if len(first) else first
    starts = [0]
    for border in first:
        if border - starts[-1] >= rows_per_order:
            starts.append(int(border))
    begin, end = order.span
    borders = [begin, *((int(places[s, 0]), int(places[s, 1])) for s in starts[1:]), end]
    for start, stop, span in zip(starts, [*starts[1:], len(places)], itertools.pairwise(borders), strict=True):
        yield Order(order.split, span, order.rows.slice(start, stop - start))


def places_of(requests: pa.Table) -> np.ndarray:
    """Position and chunk index of each row: int64 (rows, 2). Whole documents stand with their first chunk."""
    chunk = requests["chunk_index"].fill_null(0).to_numpy().astype(np.int64)
    return np.stack([requests["position"].to_numpy(), chunk], axis=1)


def order_key(order: Order) -> str:
    """Name an order the same wherever it is, and whenever the run reads it again."""
    return f"{order.split}|{order.span}"
