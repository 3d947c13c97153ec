"""JSON: an object in each line, or those of an array, of several values in a file, or of the one list inside of an object."""

import json
from collections.abc import Iterator
from itertools import islice
from math import isfinite
from typing import Any, ClassVar

import msgspec

from operators.storage.base import CORRUPT, Split
from operators.storage.compression import Gap, blocks
from operators.storage.config import InputConfig
from operators.storage.formats.base import Damage, Record, Row, WrongFormat, listed, require_columns
from operators.storage.formats.json_items import Broken, Item, items
from operators.storage.formats.json_shape import Ambiguous, Shape, inside_array, inside_object, list_inside, shape_of
from operators.storage.formats.line_records import line_records, not_utf8, text_row
from operators.storage.sniff import foreign
from operators.storage.watched import Watched
from operators.storage.window import Window
from operators.text.extract.base import DEFAULT, ExtractConfig

SAMPLE = 100  # records
RECORD_SEPARATOR = b"\x1e"  # RFC 7464

_decode = msgspec.json.Decoder().decode


def _unusual(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)  # times of pandas; all else


_encode = msgspec.json.Encoder(enc_hook=_unusual).encode


def compact(value: Any) -> str:
    """Write a value as compact JSON: times in ISO 8601, bytes in base64, decimals as strings, NaN as null."""
    try:
        return _encode(value).decode()
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can hold
        plain = _finite(msgspec.to_builtins(value, enc_hook=_unusual))
        return json.dumps(plain, separators=(",", ":"), allow_nan=False)


def _finite(value: Any) -> Any:
    """Put null where a number is none."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value


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

    def __init__(self, split: Split, config: InputConfig, extract: ExtractConfig = DEFAULT):
        self.split, self.config = split, config
        self.id_column = config.id_column

    def records(self, handle: Watched) -> Iterator[Record]:
        """Yield a record per value. Its position is the byte at which its line begins, or the number of the value."""
        name, shape = self.split.file.name, shape_of(handle, self.split.file.name, parsed)
        if shape is Shape.LINES:
            yield from line_records(handle, self.split)
        elif self.split.begin == 0:  # nothing else can be cut: the first split has all of it
            try:
                found = self._items(handle, shape)
            except Ambiguous as error:
                yield Record(0, 0, Damage(CORRUPT, f"{name} {error}"))
                return
            for number, (offset, value) in enumerate(found):
                yield _record(number, offset, value)

    def _items(self, handle: Watched, shape: Shape) -> Iterator[Item]:
        name = self.split.file.name
        if shape is Shape.OBJECT:
            key = list_inside(handle, name, self.config.text_column, parsed)
            handle.seek(0)
            if key is not None:
                return items(inside_object(handle, name, key), _wrong, array=True, alone=True)
        if shape is Shape.ARRAY:
            return items(inside_array(handle, name), _wrong, array=True)
        return items(Window(blocks(handle, name)), _wrong)

    def row(self, payload: tuple[int, bytes]) -> Row:
        position, line = payload
        try:
            content = parsed(line)
        except UnicodeDecodeError as error:
            return not_utf8(error, position)
        except (ValueError, RecursionError) as error:
            return Row(reason="invalid_json", detail=f"at byte {position}: {error}")
        if not isinstance(content, dict):
            return Row(reason="not_an_object", detail=f"{type(content).__name__} at byte {position}")
        if self.config.text_column is None:
            return self._record(content, position, line)
        return self._document(content, position)

    def _record(self, columns: dict, position: int, line: bytes) -> Row:
        """Give a whole record: its line as it stands."""
        try:
            id = identity(columns.get(self.id_column))
            text = line.removeprefix(RECORD_SEPARATOR).strip().decode()
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

    def check(self, handle: Watched) -> bool:
        sample = list(islice(self.records(handle), SAMPLE))
        if len(sample) == 1 and isinstance(sample[0].payload, Damage):
            raise WrongFormat(sample[0].payload.detail.removeprefix(f"{self.split.file.name} "))
        rows = [record.payload[1] for record in sample if type(record.payload) is tuple]
        objects = [content for content in map(_object, rows) if content is not None]
        if objects:
            columns = dict.fromkeys(name for columns in objects for name in columns)
            require_columns(self.split.file, self.config, columns)
            return True
        if not rows:
            return False
        kind = foreign(rows[0])
        raise WrongFormat(
            f"begins like {kind}, not like JSON lines"
            if kind
            else f"has no JSON object in its first {len(rows)} lines; the first begins {rows[0][:60]!r}"
        )


def _record(number: int, offset: int, value: bytes | Broken | Gap) -> Record:
    if isinstance(value, Gap):
        return Record(number, 0, Damage(CORRUPT, f"after {number} values, at byte {offset}: {value.error}"))
    if isinstance(value, Broken):
        return Record(number, 0, Row(reason="invalid_json", detail=f"value {number}, at byte {offset}: {value.error}"))
    return Record(number, len(value), (offset, value))


def parsed(content: bytes) -> Any:
    """Parse JSON, NaN and half surrogate pairs too. Raises ValueError or RecursionError."""
    try:
        return _decode(content)
    except (ValueError, RecursionError):
        return json.loads(content.removeprefix(RECORD_SEPARATOR).decode())


def _wrong(content: bytes) -> str | None:
    """Say why bytes are no JSON; what is no UTF-8 in them is for their row to say."""
    try:
        parsed(content)
    except UnicodeDecodeError:
        return None
    except (ValueError, RecursionError) as error:
        return str(error)


def _object(content: bytes) -> dict | None:
    try:
        found = parsed(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
