"""The columns of the rows that an artifact of texts keeps, and of those that left any artifact."""

import pyarrow as pa

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


def in_form(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give the columns of a schema, null where the table has none."""
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
