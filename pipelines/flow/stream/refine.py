"""What is done with answers once they are there: operators one after the other, and word of what became of each answer."""

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial

import pyarrow as pa

from pipelines.flow.board.verdicts import Fate
from pipelines.flow.faults.bisect import TableWork
from pipelines.flow.faults.isolation import Isolation
from pipelines.flow.orders.order import from_block, order_key
from pipelines.ledger.units import Units
from pipelines.reasons import Reasons

Operators = Mapping[str, Callable[[pa.Table], pa.Table]]  # by the names of their stages, in order


class Refine:
    """Runs operators over the rows of orders, and tells the scoreboard what became of the answers.

    `operators` builds them, once in each process or at little cost. Those in `by_document` need the rows of a document together.
    """

    def __init__(
        self,
        operators: Callable[[], Operators],
        by_document: Collection[str],
        units: Units,
        reasons: Reasons,
        isolation: Isolation,
    ):
        self.operators, self.by_document = operators, by_document
        self.units, self.reasons, self.isolation = units, reasons, isolation

    def __call__(self, block: pa.Table) -> Iterator[pa.Table]:
        works = [
            TableWork(stage, partial(self._operator, stage), stage in self.by_document) for stage in self.operators()
        ]
        with self.isolation.report.explaining():
            for order in from_block(block):
                rows = self.isolation.run(works, order_key(order), order.rows) if works else order.rows
                self.isolation.report.became(fates_of(rows, self.units, self.reasons))
                yield order.with_rows(rows).to_block()

    def _operator(self, stage: str) -> Callable[[pa.Table], pa.Table]:
        return self.operators()[stage]


def fates_of(rows: pa.Table, units: Units, reasons: Reasons) -> dict[str, list[Fate]]:
    """Tell what became of the answers of each kind, in order; what left before it was asked for is none."""
    fates: dict[str, list[Fate]] = {}
    bad = {*reasons.asking, *reasons.judging}
    columns = (units.kind, "stage", "reason", "detail", "document_id")
    for name, stage, reason, detail, document in zip(*(rows[column].to_pylist() for column in columns), strict=True):
        if name in (None, units.beside) or stage not in (None, *bad, *reasons.later):
            continue
        fate = Fate(f"{stage}/{reason}", f"document {document}: {detail}") if stage in bad else Fate(None)
        fates.setdefault(name, []).append(fate)
    return fates
