"""JSON lines: one object per line. A `.json` file that is one array is read as the array of its objects."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO, ClassVar

import msgspec

from operators.storage.base import Split
from operators.storage.config import InputConfig
from operators.storage.formats.base import Record, Row, WrongFormat, listed, require_columns
from operators.storage.formats.json_array import array_records, is_array
from operators.storage.formats.line_records import line_records, not_utf8, text_row
from operators.storage.packing import bare_name
from operators.storage.sniff import foreign

SAMPLE = 100  # records

_decode = msgspec.json.Decoder().decode


def _unusual(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)  # times of pandas; all else


_encode = msgspec.json.Encoder(enc_hook=_unusual).encode


def compact(value: Any) -> str:
    """Write a value as compact JSON: times in ISO 8601, bytes in base64, decimals as strings, NaN as null."""
    try:
        return _encode(value).decode()
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can hold
        return json.dumps(value, separators=(",", ":"), default=_unusual)


def as_record(row: Row) -> Row:
    """Give a document as a record: its text, and what else is known of it, in one JSON object."""
    if row.reason:
        return row
    return row._replace(text=compact({"text": row.text} | json.loads(row.metadata or "{}")), metadata=None)


def identity(value: Any) -> str | None:
    """Return what an id column holds as a string; null where it holds nothing."""
    if isinstance(value, str):
        return value or None
    return None if value is None else compact(value)


class Jsonl:
    endings = (".jsonl", ".ndjson", ".json")
    magic: ClassVar = {}
    divisible = True

    def __init__(self, split: Split, config: InputConfig):
        self.split, self.config = split, config
        self.id_column = config.id_column or "id"

    def records(self, handle: BinaryIO) -> Iterator[Record]:
        name = self.split.file.name
        if not (bare_name(name).endswith(".json") and is_array(handle, name)):
            return line_records(handle, self.split)
        # An array cannot be cut: its first split reads all of it.
        return array_records(handle, name, self.config.text_column) if self.split.begin == 0 else iter(())

    def row(self, payload: tuple[int, Any]) -> Row:
        position, content = payload
        line = content if isinstance(content, bytes) else None
        if line is not None:
            try:
                content = _decode(content)
            except (ValueError, RecursionError):
                content = _parse(content, position)
        if not isinstance(content, dict):
            if isinstance(content, Row):
                return content
            return Row(reason="not_an_object", detail=f"{type(content).__name__} at byte {position}")
        if self.config.text_column is None:
            return self._record(content, position, line)
        return self._document(content, position)

    def _record(self, columns: dict, position: int, line: bytes | None) -> Row:
        """Give a whole record: its line, or the JSON of an item of an array."""
        try:
            id = identity(columns.get(self.id_column))
            text = compact(columns) if line is None else line.strip().decode()
            (id or "").encode()  # half a surrogate pair is no id; in the record it is an escape
        except UnicodeEncodeError as error:
            return not_utf8(error, position)
        return Row(id, text)

    def _document(self, columns: dict, position: int) -> Row:
        try:
            text = columns.pop(self.config.text_column)
        except KeyError:
            return Row(reason="no_text_column", detail=f"the columns are: {listed(columns)}")
        try:
            id = identity(columns.pop(self.id_column, None))
            metadata = compact(columns) if columns else None
            if isinstance(text, str):
                text.isascii() or text.encode()  # half a surrogate pair is no text
                return text_row(text, id, metadata)
        except UnicodeEncodeError as error:
            return not_utf8(error, position)
        if text is None:
            return Row(id, None, metadata, "null_text")
        return Row(id, None, metadata, "text_not_a_string", f"it is a {type(text).__name__}")

    def check(self, handle: BinaryIO) -> bool:
        sample = list(islice(self.records(handle), SAMPLE))
        rows = [record.payload[1] for record in sample if type(record.payload) is tuple]
        objects = [row for row in map(_object, rows) if row is not None]
        if objects:
            columns = dict.fromkeys(name for columns in objects for name in columns)
            require_columns(self.split.file, self.config, columns)
            return True
        if not rows:
            return False
        head = rows[0][:60] if isinstance(rows[0], bytes) else rows[0]
        kind = foreign(head) if isinstance(head, bytes) else None
        raise WrongFormat(
            f"begins like {kind}, not like JSON lines"
            if kind
            else f"has no JSON object in its first {len(rows)} lines; the first begins {head!r}"
        )


def _parse(line: bytes, position: int) -> Any:
    """Parse what the fast decoder refuses: NaN and half surrogate pairs are kept, all else gets its reason."""
    try:
        return json.loads(line.decode())
    except UnicodeDecodeError as error:
        return not_utf8(error, position)
    except (ValueError, RecursionError) as error:
        return Row(reason="invalid_json", detail=f"line at byte {position}: {error}")


def _object(content: Any) -> dict | None:
    parsed = _parse(content, 0) if isinstance(content, bytes) else content
    return parsed if isinstance(parsed, dict) else None
