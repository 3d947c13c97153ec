"""The beginning of a pipeline over orders: splits of input files become orders of rows that a model is asked about."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import chain

import pyarrow as pa

from operators.storage.base import Split
from operators.storage.config import InputConfig, StorageConfig
from operators.text.extract import ExtractConfig
from pipelines.flow.engines.chained import with_carried
from pipelines.flow.faults.bisect import TableWork
from pipelines.flow.faults.isolation import Isolation
from pipelines.flow.input.pieces import Pieces
from pipelines.flow.orders.order import Order
from pipelines.flow.orders.redo import shared_out, wanted
from pipelines.ledger.records import State
from pipelines.ledger.spans import Spans, Unit
from pipelines.ledger.units import Units

BYTES_PER_TOKEN = 4  # of text, roughly; only sizes the pieces in which a file is read


def split_rows(splits: list[Split], state: State, limit: int | None) -> list[dict]:
    """Write down what is left to do of the input, as plain JSON: a row for each split that is not done yet.

    With a limit, all splits stand in one row: which documents come first is known only by reading them in order. Chained.added_to
    adds `passed_on` to it, where there are chains.
    """
    todo = [(split, state.done.get(split.key, Spans())) for split in splits]
    work = [
        {"split": asdict(split), "done": done.spans, "redo": state.redo.get(split.key, [])}
        for split, done in todo
        if limit is not None or not done.complete
    ]
    if limit is not None:
        return [{"work": json.dumps(work)}] if not all(done.complete for _, done in todo) else []
    return [{"work": json.dumps([item])} for item in work]


class ReadOrders:
    """Read splits and cut their documents into orders: read -> fan out -> cut.

    `fan_out` is a stage's work (see faults/bisect.py): of a piece's DOCUMENTS it makes the rows to ask about, a document after
    the other and in it a chunk after the other. `cut` cuts the order of all of them. `calls` counts what will be asked about
    some rows, `units` names the column that tells the rows of a chunk apart.
    """

    def __init__(
        self,
        input: InputConfig,
        storage: StorageConfig,
        extract: ExtractConfig,
        piece_tokens: int,
        fan_out: TableWork,
        cut: Callable[[Order], Iterator[Order]],
        calls: Callable[[pa.Table], int],
        units: Units,
        isolation: Isolation,
    ):
        self.pieces = Pieces(input, storage, extract, BYTES_PER_TOKEN * piece_tokens, isolation)
        self.fan_out, self.cut, self.calls, self.units, self.isolation = fan_out, cut, calls, units, isolation

    def __call__(self, rows: pa.Table) -> Iterator[pa.Table]:
        report = self.isolation.report
        with report.explaining():
            work = [item for row in rows["work"].to_pylist() for item in json.loads(row)]
            passed_on = dict(chain.from_iterable(item.get("passed_on", {}).items() for item in work))
            for split, done, redo, piece in self.pieces.of(work):
                asked = self.isolation.run([self.fan_out], f"{split.key}|{piece.begin}", piece.documents)
                for order in self.cut(Order(split.key, ((piece.begin, 0), (piece.end, 0)), asked)):
                    for rest in self._rest(order, done, redo):
                        if passed_on:
                            rest = rest.with_rows(with_carried(rest.rows, self.units.kind, passed_on))
                        report.add({"read": {"requests": self.calls(rest.rows)}})
                        yield rest.to_block()

    def _rest(self, order: Order, done: Spans, redo: list[Unit]) -> Iterator[Order]:
        """Give what is left to do of an order, each stretch of it as an order of its own."""
        kind, stretches = self.units.kind, done.outside(order.span)
        tables = [order.rows] if stretches == [order.span] else shared_out(order.rows, kind, stretches)
        for span, rows in zip(stretches, tables, strict=True):
            yield Order(order.split, span, rows.filter(pa.array(wanted(rows, kind, redo))) if redo else rows)
