"""Counts of the rows of finished orders."""

import pyarrow as pa
import pyarrow.compute as pc

from operators.table import ORIGINAL, text_tokens
from pipelines.counts import Counts


def count_rows(rows: pa.Table) -> Counts:
    """Count the rows of finished orders: kept by style, rejected by style, stage and reason, repaired, and tokens."""
    kept = rows.filter(pc.is_null(rows["reason"]))
    left = rows.filter(pc.is_valid(rows["reason"]))
    real = pc.equal(kept["style"], ORIGINAL).to_numpy(zero_copy_only=False)
    tokens = text_tokens(kept)
    counts = {
        "documents": _documents(rows),
        "kept": _tally(kept["style"]),
        "rejected": {},
        "repaired": _tally_words(rows["repaired"]) if "repaired" in rows.column_names else {},
        "tokens": {"real": round(tokens[real].sum()), "synthetic": round(tokens[~real].sum())},
        "paid": _paid(rows.filter(pc.is_valid(rows["prompt_tokens"]))),
    }
    for style, stage, reason in zip(*(left[c].to_pylist() for c in ("style", "stage", "reason")), strict=True):
        bucket = counts["rejected"].setdefault(style or "document", {})
        bucket[f"{stage}/{reason}"] = bucket.get(f"{stage}/{reason}", 0) + 1
    return counts


def _documents(rows: pa.Table) -> int:
    """Count the documents that begin in these rows: their first chunk, a record without chunks, or a stitched rewrite."""
    begins = pc.and_(
        pc.fill_null(pc.not_equal(rows["style"], ORIGINAL), True),
        pc.fill_null(pc.equal(rows["chunk_index"], 0), True),
    )
    begins = rows.filter(begins).select(["source_file", "position"])
    return len(begins.group_by(["source_file", "position"]).aggregate([]))


def _paid(rows: pa.Table) -> dict[str, Counts]:
    """Sum up the tokens of the requests that were answered, by style: of the prompts, of these from the cache, written."""
    names = {"prompt": "prompt_tokens", "cached": "cached_tokens", "completion": "completion_tokens"}
    sums = rows.group_by("style").aggregate([(name, "sum") for name in names.values()]).to_pylist()
    return {row["style"]: {kind: row[f"{name}_sum"] or 0 for kind, name in names.items()} for row in sums}


def _tally(column: pa.ChunkedArray) -> dict[str, int]:
    return {row["values"]: row["counts"] for row in column.value_counts().to_pylist()}


def _tally_words(column: pa.ChunkedArray) -> dict[str, int]:
    words = [word for cell in column.drop_null().to_pylist() for word in cell.split(",")]
    return {word: words.count(word) for word in dict.fromkeys(words)}
