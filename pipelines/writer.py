"""The end of a pipeline: finished orders become parts of the artifact, whole or not at all."""

import uuid
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc
from ray.data import Datasink

from pipelines.counts import Counts, count_rows
from pipelines.isolation import order_key
from pipelines.ledger import Ledger, publish_part
from pipelines.order import Order, from_block
from pipelines.progress import Report
from pipelines.records import Commit, Part

DATA = pa.schema(
    [
        ("id", pa.string()),
        ("document_id", pa.string()),
        ("chunk_index", pa.int32()),
        ("style", pa.string()),
        ("text", pa.large_string()),
        ("source_text", pa.large_string()),
        ("model", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("finish_reason", pa.string()),
        ("similarity", pa.float32()),
        ("metadata", pa.large_string()),
    ]
)
REJECTED = pa.schema(
    [
        *(DATA.field(name) for name in ("id", "document_id", "chunk_index", "style")),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.large_string()),
        ("text", pa.large_string()),  # what was rejected: the rewrite or the document, where there was a text at all
        DATA.field("source_text"),
        DATA.field("metadata"),
        ("source_file", pa.string()),
        ("position", pa.int64()),
    ]
)


class ArtifactSink(Datasink[Counts]):
    """Writes orders in groups: a data part, a rejected part, then the commit that makes both count."""

    def __init__(self, ledger: Ledger, orders_per_part: int, report: Report):
        self.ledger, self.orders_per_part, self.report = ledger, orders_per_part, report

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
            counts = write_orders(self.ledger, f"{ctx.kwargs['write_uuid']}-{ctx.task_idx}", orders)
        self.report.settled([order_key(order) for order in orders])
        rejected = sum(sum(reasons.values()) for reasons in counts.get("rejected", {}).values())
        self.report.add({"settled": {"kept": sum(counts.get("kept", {}).values()), "rejected": rejected}})
        return counts


def write_orders(ledger: Ledger, name: str, orders: list[Order]) -> Counts:
    """Publish the rows of some orders, commit them under a name and give their counts; nothing where that name is committed.

    Ray runs a write again under the same name when its worker dies, and now and then beside the first try: the commit that
    comes first stands alone. Raises Lost where another run owns the artifact by now.
    """
    if ledger.holds(name):
        return {}
    if not ledger.current():
        raise ledger.lost()
    rows = pa.concat_tables([order.rows for order in orders], promote_options="default")
    parts = _publish_parts(ledger, rows)
    spans: dict[str, list] = {}
    for order in orders:
        spans.setdefault(order.split, []).append(order.span)
    commit = Commit(parts, spans, count_rows(rows))
    # Where another try was first, our parts stay until the run ends: a storage may say so of our own commit too.
    return commit.counts if ledger.commit(name, commit) else {}


def _publish_parts(ledger: Ledger, rows: pa.Table) -> list[Part]:
    alive = pc.is_null(rows["reason"])
    tables = {"data": (rows.filter(alive), DATA), "rejected": (rows.filter(pc.invert(alive)), REJECTED)}
    name = f"part-{ledger.number:08}-{uuid.uuid4().hex}.parquet"  # never the name of an earlier try
    return [
        publish_part(ledger, f"{folder}/{name}", _in_form(table, schema))
        for folder, (table, schema) in tables.items()
        if len(table)
    ]


def _in_form(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
