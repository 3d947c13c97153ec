"""Chunks back into documents: the rewrites of one document and style become one row."""

import pyarrow as pa
import pyarrow.compute as pc

from operators.table import rewrites

JOINT = "\n\n"  # a rewrite of a chunk begins and ends where a paragraph could


class Stitch:
    """Join the kept rewrites of each document and style, in the order of their chunks.

    Reads whole documents (all chunks of one in the same table). The joined row keeps the first chunk's `id`; its
    `chunk_index` is null, counts are sums, `similarity` is the mean over chunks weighted by their tokens. A chunk whose
    rewrite was rejected is missing from the joined text and stands in the rejected stream as before.
    """

    def __call__(self, table: pa.Table) -> pa.Table:
        groups: dict[tuple, list[int]] = {}
        keys = list(zip(*(table[name].to_pylist() for name in ("position", "document_id", "style")), strict=True))
        for row in rewrites(table).nonzero()[0]:
            groups.setdefault(keys[row], []).append(int(row))
        if not groups:
            return table
        kept = table.filter(pa.array(~rewrites(table)))
        joined = [_join(table.take(rows)) for rows in groups.values()]
        return pa.concat_tables([kept, pa.Table.from_pylist(joined, schema=table.schema)])


def _join(chunks: pa.Table) -> dict:
    rows = chunks.sort_by("chunk_index").to_pylist()
    row = rows[0] | {"chunk_index": None}
    row["text"] = JOINT.join(r["text"] for r in rows)
    row["source_text"] = "".join(r["source_text"] for r in rows)
    for count in ("source_tokens", "prompt_tokens", "cached_tokens", "completion_tokens"):
        row[count] = pc.sum(chunks[count]).as_py()
    if row.get("similarity") is not None:
        row["similarity"] = sum(r["similarity"] * r["source_tokens"] for r in rows) / max(1, row["source_tokens"])
    return row
