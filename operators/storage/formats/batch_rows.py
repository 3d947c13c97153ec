"""The rows of a record batch of Arrow's, whatever columns it has; parquet and Arrow files share them."""

from collections import Counter
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from operators.errors import BadRequest
from operators.storage.base import InputFile
from operators.storage.config import ID, InputConfig
from operators.storage.formats.base import Row, listed, require_columns
from operators.storage.formats.jsonl import compact, identity
from operators.storage.formats.line_records import text_row


class BatchRows:
    """The rows of one batch; what is costly is made when a row is first asked for.

    Nothing tells apart columns of one name: they stand as `name_1`, `name_2` in the metadata, and no text or id is read from
    them.
    """

    def __init__(self, batch: pa.RecordBatch, config: InputConfig):
        self.column, id_column = config.text_column, config.id_column
        self.alike = batch.schema.names.count(self.column)
        names = told_apart(batch.schema.names)
        self.batch = batch.rename_columns(names)
        self.ids = self.batch[id_column] if id_column in names else None
        self.texts = as_binary(self.batch[self.column]) if self.column in names else None
        self.others = self.batch.select([name for name in names if self.whole or name not in (self.column, id_column)])

    @property
    def whole(self) -> bool:
        return self.column is None

    @property
    def weights(self) -> list[int]:
        if self.whole:
            return [self.batch.nbytes // max(len(self.batch), 1)] * len(self.batch)
        if self.texts is None:
            return [0] * len(self.batch)
        return pc.fill_null(pc.binary_length(self.texts), 0).to_pylist()

    @cached_property
    def known(self) -> list[dict] | None:
        """The other columns, row by row; null where Python cannot hold all of their values."""
        try:
            return self.others.to_pylist()
        # A string that is no UTF-8, a time too late, a zone unheard of, a struct with a name twice ...
        except Exception:
            return None

    @cached_property
    def metadata(self) -> list[dict]:
        if self.known is not None:
            return self.known
        names = self.others.schema.names
        cells = zip(*(map(_plain, column) for column in self.others.columns), strict=True)
        return [dict(zip(names, row, strict=True)) for row in cells]

    def row(self, place: int) -> Row:
        id = None if self.ids is None else identity(_plain(self.ids[place]))
        if self.whole:
            return self._record(id, place)
        metadata = compact(self.metadata[place]) if self.others.num_columns else None
        if self.alike > 1:
            return Row(id, None, metadata, "ambiguous_column", f"{self.alike} columns are called {self.column!r}")
        if self.alike == 0:
            return Row(id, None, metadata, "no_text_column", f"the columns are: {listed(self.batch.schema.names)}")
        if self.texts is None:
            return Row(id, None, metadata, "text_not_a_string", f"it is a {self.batch[self.column].type}")
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
        except Exception:
            columns = self.metadata[place]
        return Row(id, compact(columns))


def require_text(schema: pa.Schema, file: InputFile, config: InputConfig) -> None:
    """Raise BadRequest where the columns that are asked for are not in a schema, stand in it twice, or hold no text."""
    require_columns(file, config, schema.names)
    for key in ("text_column", "id_column"):
        name = getattr(config, key)
        if name is not None and (key, name) != ("id_column", ID) and (alike := schema.names.count(name)) > 1:
            raise BadRequest(
                f"{alike} columns of {file.url} are called {name!r}, so that none of them is meant. Set input.{key}."
            )
    if config.text_column is None:
        return
    type = schema.field(config.text_column).type
    if as_binary(pa.nulls(0, type)) is None:
        raise BadRequest(
            f"column {config.text_column!r} of {file.url} holds {type}, not text. "
            f"Set input.text_column to one of: {listed(schema.names)}."
        )


def told_apart(names: list[str]) -> list[str]:
    """Number the names that stand more than once, by numbers that make no other name."""
    times, taken, numbers, apart = Counter(names), set(names), Counter(), []
    for name in names:
        fresh = name
        while times[name] > 1 and fresh in taken:
            numbers[name] += 1
            fresh = f"{name}_{numbers[name]}"
        taken.add(fresh)
        apart.append(fresh)
    return apart


def as_binary(column: pa.Array) -> pa.LargeBinaryArray | None:
    """Return texts as bytes, because arrow does not check that they are UTF-8; null where the column holds no text."""
    if isinstance(column, pa.RunEndEncodedArray):
        column = pc.run_end_decode(column)
    try:
        return column.cast(pa.large_binary())
    except pa.ArrowException:  # not what has no such type alone: indices of a dictionary may be broken
        return None


def _plain(cell: pa.Scalar) -> Any:
    """Return a cell as Python knows it; null where Python has no such value."""
    try:
        return cell.as_py()
    except Exception:
        if pa.types.is_struct(cell.type):  # of which fields share a name, or hold what Python has not
            return dict(zip(told_apart([name for name, _ in cell.items()]), map(_plain, _fields(cell)), strict=True))
        return cell.cast(pa.binary()).as_py().decode(errors="replace") if pa.types.is_string(cell.type) else None


def _fields(cell: pa.StructScalar) -> list[pa.Scalar]:
    return [cell[index] for index in range(len(cell.type))]
