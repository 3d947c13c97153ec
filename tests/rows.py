"""Small tables for tests."""

import pyarrow as pa

from operators.table import CHUNKS, COMPLETIONS, DOCUMENTS, REQUESTS


def table(schema: pa.Schema, rows: list[dict]) -> pa.Table:
    """Make a table of a schema; what a row does not say is null."""
    return pa.Table.from_pylist([dict.fromkeys(schema.names) | row for row in rows], schema=schema)


def documents(*texts: str | None, **columns) -> pa.Table:
    """Make living documents named d0, d1 ... at positions 0, 10, 20 ...; a text of None is a rejected record."""
    rows = [
        {"document_id": f"d{i}", "text": text, "source_file": "a.jsonl", "position": 10 * i, **columns}
        | ({} if text is not None else {"stage": "read", "reason": "null_text"})
        for i, text in enumerate(texts)
    ]
    return table(DOCUMENTS, rows)


def chunks(*pieces: tuple[int, list[str]]) -> pa.Table:
    """Make the chunks of living documents: (number of the document, texts of its chunks); a token is a word."""
    rows = [
        {
            "document_id": f"d{i}",
            "chunk_index": index,
            "source_text": text,
            "source_tokens": len(text.split()),
            "source_file": "a.jsonl",
            "position": 10 * i,
        }
        for i, texts in pieces
        for index, text in enumerate(texts)
    ]
    return table(CHUNKS, rows)


def completed(*rows: dict) -> pa.Table:
    """Make rows as they are after the engine; `text` is the rewrite."""
    return table(pa.schema([*REQUESTS, *COMPLETIONS, ("similarity", pa.float32())]), list(rows))
