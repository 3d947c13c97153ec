"""Counts of the rows of finished orders."""

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.counts import Counts
from pipelines.ledger.units import Units

PAID = {"prompt": "prompt_tokens", "cached": "cached_tokens", "completion": "completion_tokens"}


def count_rows(rows: pa.Table, units: Units) -> Counts:
    """Count the rows of finished orders: kept by kind, rejected by kind, stage and reason, and the tokens that were paid for."""
    kind = units.kind
    kept = rows.filter(pc.is_null(rows["reason"]))
    left = rows.filter(pc.is_valid(rows["reason"]))
    counts = {
        "documents": _documents(rows, units),
        "kept": {row["values"]: row["counts"] for row in kept[kind].value_counts().to_pylist()},
        "rejected": {},
        "paid": _paid(rows, kind),
    }
    for name, stage, reason in zip(*(left[c].to_pylist() for c in (kind, "stage", "reason")), strict=True):
        bucket = counts["rejected"].setdefault(name or "document", {})
        bucket[f"{stage}/{reason}"] = bucket.get(f"{stage}/{reason}", 0) + 1
    return counts


def _documents(rows: pa.Table, units: Units) -> int:
    """Count the documents that begin in these rows: their first chunk, or a row that stands for all of them."""
    begins = pc.and_(
        pc.fill_null(pc.not_equal(rows[units.kind], units.beside or ""), True),
        pc.fill_null(pc.equal(rows["chunk_index"], 0), True),
    )
    begins = rows.filter(begins).select(["source_file", "position"])
    return len(begins.group_by(["source_file", "position"]).aggregate([]))


def _paid(rows: pa.Table, kind: str) -> dict[str, Counts]:
    """Sum up the tokens of the calls that were answered, by kind: of the prompts, of these from the cache, written."""
    if not set(PAID.values()) <= set(rows.column_names):
        return {}
    rows = rows.filter(pc.is_valid(rows["prompt_tokens"]))
    sums = rows.group_by(kind).aggregate([(name, "sum") for name in PAID.values()]).to_pylist()
    return {row[kind]: {paid: row[f"{name}_sum"] or 0 for paid, name in PAID.items()} for row in sums}
