"""The columns that travel between operators, and how a row leaves.

A row that must leave is not dropped: `stage`, `reason` and `detail` are filled, every later operator passes it by,
and the writer puts it into `rejected/`. A row whose `reason` is null is alive.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

REJECTION = [("stage", pa.string()), ("reason", pa.string()), ("detail", pa.large_string())]
KINDS = pa.list_(pa.string())  # what a row has, by name

DOCUMENTS = pa.schema(
    [
        ("document_id", pa.string()),
        ("text", pa.large_string()),  # null where the record could not be read
        ("metadata", pa.large_string()),  # the input's other columns as one JSON object, or null
        ("source_file", pa.string()),  # name of the file, relative to the input's root
        ("position", pa.int64()),  # where the record begins in its file; grows from record to record
        *REJECTION,
    ]
)

# One row per chunk of a document. A rejected document is one row without a chunk_index.
CHUNKS = pa.schema(
    [
        ("document_id", pa.string()),
        ("chunk_index", pa.int32()),
        ("source_text", pa.large_string()),
        ("source_tokens", pa.int32()),
        ("metadata", pa.large_string()),
        ("source_file", pa.string()),
        ("position", pa.int64()),
        *REJECTION,
    ]
)

ORIGINAL = "original"  # the `style` of real text

# One row per request (chunk x style), and one per whole document with style "original".
REQUESTS = pa.schema(
    [
        ("id", pa.string()),
        ("document_id", pa.string()),
        ("chunk_index", pa.int32()),
        ("style", pa.string()),
        (
            "text",
            pa.large_string(),
        ),  # the rewrite; null until `Rephrase` has run. The document where style is "original"
        ("source_text", pa.large_string()),
        ("source_tokens", pa.int32()),
        ("document_tokens", pa.int32()),  # of the whole document, whatever part of it this row is
        ("metadata", pa.large_string()),
        ("source_file", pa.string()),
        ("position", pa.int64()),
        *REJECTION,
    ]
)

# What `Rephrase` adds to REQUESTS.
COMPLETIONS = pa.schema(
    [
        ("model", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("cached_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("finish_reason", pa.string()),
    ]
)


def row_id(file: str, position: int, chunk: int | None, kind: str | None) -> str:
    """Name a row by its place. Equal document ids in the input do no harm."""
    return blake2b("\0".join(map(str, (file, position, chunk, kind))).encode(), digest_size=16).hexdigest()


def living(table: pa.Table) -> np.ndarray:
    """Tell which rows are still in the stream: bool (rows,)."""
    return pc.is_null(table["reason"]).to_numpy(zero_copy_only=False)


def rewrites(table: pa.Table) -> np.ndarray:
    """Tell which rows are living rewrites or requests for one, not whole documents: bool (rows,)."""
    return living(table) & pc.not_equal(table["style"], ORIGINAL).to_numpy(zero_copy_only=False).astype(bool)


def text_tokens(table: pa.Table) -> np.ndarray:
    """Estimate the tokens of each row's text: float (rows,), 0 where there is none.

    Whole documents were counted. A rewrite is measured by its source, whose tokens are known, and the characters of both: so
    real and synthetic text have the same unit, and neither a server that reports no usage nor tokens spent on thinking count.
    """
    text, source = (pc.cast(pc.utf8_length(table[name]), pa.float64()) for name in ("text", "source_text"))
    share = pc.if_else(pc.equal(table["style"], ORIGINAL), 1.0, pc.divide(text, pc.max_element_wise(source, 1.0)))
    return pc.fill_null(pc.multiply(table["source_tokens"], share), 0.0).to_numpy(zero_copy_only=False)


def with_columns(table: pa.Table, **columns: pa.Array | pa.ChunkedArray) -> pa.Table:
    """Return the table with the named columns added, or put in the place of those of the same name."""
    for name, values in columns.items():
        index = table.schema.get_field_index(name)
        index = index if index >= 0 else len(table.column_names)
        table = (table.drop_columns(name) if name in table.column_names else table).add_column(index, name, values)
    return table


def spread(values: Sequence, rows: np.ndarray, type: pa.DataType) -> pa.Array:
    """Lay values out over the rows that the mask names; the other rows are null."""
    out = np.full(len(rows), None, dtype=object)
    out[rows] = np.fromiter(values, dtype=object, count=int(rows.sum()))
    return pa.array(out, type, from_pandas=False)


def reject(table: pa.Table, stage: str, reasons: dict[int, tuple[str, str | None]]) -> pa.Table:
    """Mark rows as leaving. `reasons` maps a row's index to (reason, detail); rows that left before keep their first reason."""
    if not reasons:
        return table
    columns = {name: table[name].to_pylist() for name, _ in REJECTION}
    for row, (reason, detail) in reasons.items():
        if columns["reason"][row] is None:
            columns["stage"][row], columns["reason"][row], columns["detail"][row] = stage, reason, detail
    return with_columns(table, **{name: pa.array(columns[name], type) for name, type in REJECTION})
