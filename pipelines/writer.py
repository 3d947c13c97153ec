"""The end of a pipeline: finished orders become parts of the artifact, whole or not at all."""

import io
import uuid
from collections.abc import Iterable
from hashlib import blake2b

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ray.data import Datasink

from operators.storage.filesystem import Place
from pipelines.counts import Counts, count_rows
from pipelines.ledger import Commit, Ledger, Part
from pipelines.order import Order, from_block
from pipelines.progress import Report

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

    def __init__(self, place: Place, orders_per_part: int, report: Report):
        self.place, self.orders_per_part, self.report = place, orders_per_part, report

    def get_name(self) -> str:
        return "Artifact"

    @property
    def min_rows_per_write(self) -> int:
        return self.orders_per_part

    def write(self, blocks: Iterable[pa.Table], ctx) -> Counts:
        orders = [order for block in blocks for order in from_block(block)]
        if not orders:
            return {}
        # Ray runs a write again under the same name when its worker dies; what the first try committed must stand alone.
        name = f"{ctx.kwargs['write_uuid']}-{ctx.task_idx:06}"
        counts = {} if Ledger(self.place).holds(name) else publish(self.place, name, orders)
        rejected = sum(sum(reasons.values()) for reasons in counts.get("rejected", {}).values())
        self.report.add({"settled": {"kept": sum(counts.get("kept", {}).values()), "rejected": rejected}})
        return counts


def publish(place: Place, name: str, orders: list[Order]) -> Counts:
    """Publish the rows of some orders, commit them under a name and give their counts."""
    rows = pa.concat_tables([order.rows for order in orders], promote_options="default")
    alive = pc.is_null(rows["reason"])
    tables = {"data": (rows.filter(alive), DATA), "rejected": (rows.filter(pc.invert(alive)), REJECTED)}
    part = uuid.uuid4().hex  # never the name of an earlier try
    parts = [
        _publish_part(place, f"{folder}/part-{part}.parquet", _in_form(table, schema))
        for folder, (table, schema) in tables.items()
        if len(table)
    ]
    spans: dict[str, list] = {}
    for order in orders:
        spans.setdefault(order.split, []).append(order.span)
    commit = Commit(parts, spans, count_rows(rows))
    Ledger(place).commit(name, commit)
    return commit.counts


def _in_form(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _publish_part(place: Place, name: str, table: pa.Table) -> Part:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    data = buffer.getvalue()
    place.publish(name, data)
    return Part(name, len(table), len(data), blake2b(data, digest_size=16).hexdigest())
