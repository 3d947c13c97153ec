"""From documents and their chunks to requests: one row per chunk and style, one per whole document."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.table import ORIGINAL, REQUESTS, living, reject, row_id


class FanOut:
    """Make one request of every chunk in every style.

    Reads DOCUMENTS and their CHUNKS; gives REQUESTS in the order of the chunks, the styles of one chunk beside each other
    (so that they share its prefix in the engine's cache). With `real`, every living document is also a row of its own with
    style "original", before its first chunk. Rejected documents pass through as one row without a style. `styles` maps
    each style to the fewest tokens that a chunk must have; a shorter one leaves as `source_too_short`.
    """

    def __init__(self, styles: dict[str, int], real: bool):
        self.styles, self.real = styles, real

    def __call__(self, documents: pa.Table, chunks: pa.Table) -> pa.Table:
        tokens = chunks.group_by("position").aggregate([("source_tokens", "sum")])
        documents, chunks = (_with_tokens(table, tokens) for table in (documents, chunks))
        rows = pa.concat_tables([self._originals(documents), *self._requests(chunks)])
        rows = rows.append_column("rank", self._rank(rows))
        rows = rows.sort_by([("position", "ascending"), ("rank", "ascending")]).drop_columns("rank")
        rows = rows.set_column(0, REQUESTS.field("id"), pa.array(_ids(rows), pa.string()))
        return reject(rows, "fan_out", self._too_short(rows))

    def _originals(self, documents: pa.Table) -> pa.Table:
        kept = documents.filter(pa.array(living(documents) & self.real))
        style = pa.repeat(pa.scalar(ORIGINAL), len(kept))
        return _as_requests(kept, text=kept["text"], style=style, source_tokens=kept["document_tokens"])

    def _requests(self, chunks: pa.Table) -> list[pa.Table]:
        alive = pa.array(living(chunks))
        dead = chunks.filter(pc.invert(alive))
        chunks = chunks.filter(alive)
        tables = [_as_requests(dead, style=pa.nulls(len(dead), pa.string()))]
        tables += [_as_requests(chunks, style=pa.repeat(pa.scalar(style), len(chunks))) for style in self.styles]
        return tables

    def _too_short(self, rows: pa.Table) -> dict[int, tuple[str, str]]:
        """Find the requests whose chunk is not worth one."""
        if not any(self.styles.values()):
            return {}
        asked = enumerate(zip(rows["style"].to_pylist(), rows["source_tokens"].to_pylist(), strict=True))
        return {
            row: ("source_too_short", f"{tokens} tokens, {style} asks for {self.styles[style]}")
            for row, (style, tokens) in asked
            if tokens is not None and tokens < self.styles.get(style, 0)
        }

    def _rank(self, rows: pa.Table) -> pa.Array:
        """Order rows within a document: the original first, then chunk by chunk, style by style."""
        place = {None: 0, ORIGINAL: 0} | {style: index + 1 for index, style in enumerate(self.styles)}
        style = np.array([place[name] for name in rows["style"].to_pylist()], dtype=np.int64)
        chunk = pc.fill_null(rows["chunk_index"], 0).to_numpy(zero_copy_only=False).astype(np.int64)
        return pa.array(np.where(style == 0, -1, chunk * len(place) + style))


def _with_tokens(table: pa.Table, tokens: pa.Table) -> pa.Table:
    """Add the tokens of each row's document, found by its position."""
    sums = tokens["source_tokens_sum"].take(pc.index_in(table["position"], tokens["position"]))
    return table.append_column("document_tokens", sums.cast(pa.int32()))


def _as_requests(table: pa.Table, **columns: pa.Array) -> pa.Table:
    """Bring a table to the columns of REQUESTS; what it does not have is null."""
    arrays = [
        columns[field.name]
        if field.name in columns
        else table[field.name]
        if field.name in table.column_names
        and field.name != "text"  # only originals have their text already; a request's is still to be written
        else pa.nulls(len(table), field.type)
        for field in REQUESTS
    ]
    return pa.table(arrays, schema=REQUESTS)


def _ids(rows: pa.Table) -> list[str]:
    places = zip(*(rows[name].to_pylist() for name in ("source_file", "position", "chunk_index", "style")), strict=True)
    return [row_id(*place) for place in places]
