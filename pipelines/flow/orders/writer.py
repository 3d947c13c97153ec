"""The end of a pipeline: finished orders become parts of the artifact, whole or not at all."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc
from ray.data import Datasink

from pipelines.counts import Counts
from pipelines.exits import StageFailure
from pipelines.flow.board.reporter import Reporter
from pipelines.flow.orders.order import Order, from_block, order_key
from pipelines.flow.orders.rows import Form, in_form
from pipelines.flow.orders.tally import count_rows
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.publish import publish_part, table_name
from pipelines.ledger.records import Commit, Part


class ArtifactSink(Datasink[Counts]):
    """Writes orders in groups: a data part, a rejected part, then the commit that makes both count."""

    def __init__(self, ledger: Ledger, form: Form, orders_per_part: int, report: Reporter):
        self.ledger, self.form, self.orders_per_part, self.report = ledger, form, orders_per_part, report

    def get_name(self) -> str:
        return "Artifact"

    @property
    def min_rows_per_write(self) -> int:
        return self.orders_per_part

    def write(self, blocks: Iterable[pa.Table], ctx) -> Counts:
        orders = [order for block in blocks for order in from_block(block)]
        if not orders:
            return {}
        with self.report.explaining():
            if why := self.report.why():  # what is settled now would have to be taken back
                raise StageFailure(why)
            counts = write_orders(self.ledger, self.form, f"{ctx.kwargs['write_uuid']}-{ctx.task_idx}", orders)
        self.report.settled([order_key(order) for order in orders])
        rejected = sum(sum(reasons.values()) for reasons in counts.get("rejected", {}).values())
        self.report.add({"settled": {"kept": sum(counts.get("kept", {}).values()), "rejected": rejected}})
        return counts


def write_orders(ledger: Ledger, form: Form, name: str, orders: list[Order]) -> Counts:
    """Publish the rows of some orders, commit them under a name and give their counts; nothing where that name is committed.

    Ray runs a write again under the same name when its worker dies, and now and then beside the first try: the commit that
    comes first stands alone. Raises Lost where another run owns the artifact by now.
    """
    if ledger.holds(name):
        return {}
    if not ledger.current():
        raise ledger.lost()
    rows = pa.concat_tables([order.rows for order in orders], promote_options="default")
    parts = _publish_parts(ledger, form, rows)
    spans: dict[str, list] = {}
    for order in orders:
        spans.setdefault(order.split, []).append(order.span)
    commit = Commit(parts, spans, count_rows(rows, form.units) | form.count(rows))
    # Where another try was first, our parts stay until the run ends: a storage may say so of our own commit too.
    return commit.counts if ledger.commit(name, commit) else {}


def _publish_parts(ledger: Ledger, form: Form, rows: pa.Table) -> list[Part]:
    alive = pc.is_null(rows["reason"])
    tables = {"data": (rows.filter(alive), form.data), "rejected": (rows.filter(pc.invert(alive)), form.rejected)}
    return [
        publish_part(ledger, table_name(ledger, folder, "parquet"), in_form(table, schema))
        for folder, (table, schema) in tables.items()
        if len(table)
    ]
