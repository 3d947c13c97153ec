"""Parquet: a split has the row groups that begin in its byte range; the task reads the footer, not the driver."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, BinaryIO, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from operators.errors import BadRequest
from operators.storage.base import Split
from operators.storage.config import InputConfig
from operators.storage.formats.base import Damage, Record, Row, WrongFormat, require_columns
from operators.storage.formats.jsonl import compact, identity
from operators.storage.formats.line_records import text_row
from operators.storage.sniff import foreign
from operators.storage.watched import Watched

BATCH = 8 * 2**20  # bytes of a batch, about
BUFFER = 2**20  # bytes of a column fetched at once

BROKEN = (OSError, pa.ArrowException)  # what pyarrow raises for broken contents
UNKNOWN_TO_PYTHON = (
    ValueError,
    OverflowError,
    LookupError,
)  # a string that is no UTF-8, a time too late, a zone unheard of


class Parquet:
    endings = (".parquet", ".pq")
    magic: ClassVar = {b"PAR1": "parquet"}
    divisible = True

    def __init__(self, split: Split, config: InputConfig):
        self.split, self.config = split, config

    def records(self, handle: BinaryIO) -> Iterator[Record]:
        """Yield a record per row; its position is the row's number in the file. Damage costs a row group at most."""
        watched = Watched(handle)
        try:
            file = self._open(watched)
        except BROKEN as error:
            watched.raise_failure()
            if self.split.begin == 0:
                yield Record(0, 0, Damage("corrupt_file", f"no footer can be read: {error}"))
            return
        row = 0
        for index in range(file.num_row_groups):
            group = file.metadata.row_group(index)
            if self.split.begin <= _first_byte(group) < self.split.end:
                yield from self._group(file, watched, index, row)
            row += group.num_rows

    def _group(self, file: pq.ParquetFile, watched: Watched, index: int, row: int) -> Iterator[Record]:
        group = file.metadata.row_group(index)
        end = row + group.num_rows
        batch_size = min(max(BATCH * group.num_rows // max(group.total_byte_size, 1), 1), 4096)
        try:
            for batch in file.iter_batches(batch_size, [index], use_threads=False):
                rows = BatchRows(batch, self.config)
                for place, weight in enumerate(rows.weights):
                    yield Record(row + place, weight, (rows, place))
                row += len(batch)
        except BROKEN as error:
            watched.raise_failure()
            yield Record(row, 0, Damage("corrupt_file", f"rows {row} to {end - 1} are lost: {error}"))

    def row(self, payload: tuple["BatchRows", int]) -> Row:
        rows, place = payload
        return rows.row(place)

    def check(self, handle: BinaryIO) -> bool:
        head = handle.read(64)
        handle.seek(0)
        if not head.startswith(b"PAR1") and (kind := foreign(head) or _as_text(head)):
            raise WrongFormat(f"begins like {kind}, not like parquet")
        watched = Watched(handle)
        try:
            schema = self._open(watched).schema_arrow
        except BROKEN:
            watched.raise_failure()
            return False
        require_columns(self.split.file, self.config, schema.names)
        if self.config.text_column is None:
            return True
        type = schema.field(self.config.text_column).type
        if _binary(pa.nulls(0, type)) is None:
            raise BadRequest(
                f"column {self.config.text_column!r} of {self.split.file.url} holds {type}, not text. "
                f"Set input.text_column to one of: {', '.join(schema.names)}."
            )
        return True

    def _open(self, watched: Watched) -> pq.ParquetFile:
        return pq.ParquetFile(pa.PythonFile(watched, "r"), buffer_size=BUFFER, pre_buffer=False)


class BatchRows:
    """The rows of one batch; what is costly is made when a row is first asked for."""

    def __init__(self, batch: pa.RecordBatch, config: InputConfig):
        names = batch.schema.names
        self.whole, self.bytes = config.text_column is None, batch.nbytes
        self.id_column = config.id_column or "id"
        self.ids = batch[self.id_column] if self.id_column in names else pa.nulls(len(batch))
        self.texts = _binary(batch[config.text_column]) if config.text_column in names else None
        self.found = config.text_column in names
        apart = () if self.whole else (config.text_column, self.id_column)
        self.others = batch.select([name for name in names if name not in apart])

    @property
    def weights(self) -> list[int]:
        if self.whole:
            return [self.bytes // max(len(self.others), 1)] * len(self.others)
        if self.texts is None:
            return [0] * len(self.others)
        return pc.fill_null(pc.binary_length(self.texts), 0).to_pylist()

    @cached_property
    def known(self) -> list[dict] | None:
        """The other columns, row by row; null where Python cannot hold all of their values."""
        try:
            return self.others.to_pylist()
        except UNKNOWN_TO_PYTHON:
            return None

    @cached_property
    def metadata(self) -> list[dict]:
        if self.known is not None:
            return self.known
        names = self.others.schema.names
        cells = zip(*(map(_plain, column) for column in self.others.columns), strict=True)
        return [dict(zip(names, row, strict=True)) for row in cells]

    def row(self, place: int) -> Row:
        id = identity(_plain(self.ids[place]))
        if self.whole:
            return self._record(id, place)
        metadata = compact(self.metadata[place]) if self.others.num_columns else None
        if not self.found:
            return Row(id, None, metadata, "no_text_column", f"the columns are: {', '.join(self.others.schema.names)}")
        if self.texts is None:
            return Row(id, None, metadata, "text_not_a_string")
        text = self.texts[place].as_py()
        if text is None:
            return Row(id, None, metadata, "null_text")
        try:
            return text_row(text.decode(), id, metadata)
        except UnicodeDecodeError as error:
            return Row(id, None, metadata, "invalid_utf8", f"at byte {error.start} of the text: {error.reason}")

    def _record(self, id: str | None, place: int) -> Row:
        """Give all columns of a row as its text; a string in them that is no UTF-8 is not replaced, but told."""
        try:
            columns = self.known[place] if self.known is not None else self.others.slice(place, 1).to_pylist()[0]
        except UnicodeDecodeError as error:
            return Row(id, reason="invalid_utf8", detail=f"at byte {error.start} of a column: {error.reason}")
        except UNKNOWN_TO_PYTHON:
            columns = self.metadata[place]
        return Row(id, compact(columns))


def _binary(column: pa.Array) -> pa.LargeBinaryArray | None:
    """Return texts as bytes, because arrow does not check that they are UTF-8; null where the column holds no text."""
    try:
        return column.cast(pa.large_binary())
    except pa.ArrowNotImplementedError:
        return None


def _plain(cell: pa.Scalar) -> Any:
    """Return a cell as Python knows it; null where Python has no such value."""
    try:
        return cell.as_py()
    except UNKNOWN_TO_PYTHON:
        return cell.cast(pa.binary()).as_py().decode(errors="replace") if pa.types.is_string(cell.type) else None


def _first_byte(group: pq.RowGroupMetaData) -> int:
    if group.num_columns == 0:
        return 0
    column = group.column(0)
    return min(offset for offset in (column.dictionary_page_offset, column.data_page_offset) if offset)


def _as_text(head: bytes) -> str | None:
    try:
        return f"text ({head.decode()!r})" if head else None
    except UnicodeDecodeError:
        return None
