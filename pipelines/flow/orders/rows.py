"""The form of the rows that an artifact keeps, and of those that left it."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from pipelines.counts import Counts
from pipelines.ledger.units import Units


def rejected_columns(kind: str, *told: str) -> pa.Schema:
    """Give the columns of rows that left: where they come from, why they left, and what else is `told` of them, as texts."""
    return pa.schema(
        [
            ("id", pa.string()),
            ("document_id", pa.string()),
            ("chunk_index", pa.int32()),
            (kind, pa.string()),
            ("stage", pa.string()),
            ("reason", pa.string()),
            ("detail", pa.large_string()),
            *((name, pa.large_string()) for name in told),
            ("source_file", pa.string()),
            ("position", pa.int64()),
        ]
    )


# What was rejected is the document, or what was made of its chunk, where there was a text at all.
REJECTED = rejected_columns("style", "text", "source_text", "metadata")


@dataclass(frozen=True)
class Form:
    """What the rows of an artifact look like that is made order by order.

    Rows of an order have an `id`, the place that they come from (`source_file`, `position` and `chunk_index`), the column that
    `units` names, and `stage`, `reason` and `detail` (see operators/table.py). Of these and others `data` are the columns that
    are kept, `rejected` those of rows that left. `count` counts what the pipeline tells people beside the rows.
    """

    units: Units
    data: pa.Schema
    rejected: pa.Schema = REJECTED
    count: Callable[[pa.Table], Counts] = lambda rows: {}


def in_form(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give the columns of a schema, null where the table has none."""
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
