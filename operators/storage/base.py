"""The contract of reading: an input is files, a file is splits, a split is pieces of documents.

One format is one file of this folder. It keeps the promises of `Format`; everything that the formats share (listing,
pieces, what is done already, ids) is written once, in listing.py and reading.py.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, BinaryIO, NamedTuple, Protocol

import pyarrow as pa

from operators.errors import BadRequest
from operators.settings import setting

END = 2**63 - 1  # where the last piece of every split ends
UNREADABLE = "unreadable_file"  # the reason of a row that stands for all that could not be read of a file
PIECE_BYTES = 64 * 1024
MAX_RECORD = 256 * 2**20  # bytes; a bigger record is rejected as `too_large`, so that memory stays bounded


@dataclass
class InputConfig:
    path: Any = setting(None, "file, folder, glob, or a list of them: local, s3://... or hf://datasets/...")
    format: str | None = setting(None, "parquet, jsonl, text, lines or warc; null: guessed from each file's name")
    text_column: str | None = setting("text", "column that holds the text; null: the text is the whole record, as JSON")
    id_column: str | None = setting(None, "column that holds the id; null: `id` where there is one, else an id is made")
    limit: int | None = setting(None, "documents to read at most; null: all")
    on_error: str = setting("reject", "a corrupt file: reject (by name, the others go on) or fail (stop)")
    split_mb: int = setting(128, "MiB of a file that one task reads, where the format can be split")


@dataclass(frozen=True, slots=True)
class InputFile:
    """`name` is relative to the input's root, so that a corpus that moves keeps its identities; `bytes` is its size.

    `version` changes when the contents do: the storage's tag for them, or the time of the last change.
    """

    name: str
    url: str
    bytes: int
    format: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Split:
    """The records of a file that begin in [begin, end), in bytes of the file as it is stored."""

    file: InputFile
    begin: int
    end: int

    @property
    def key(self) -> str:
        return f"{self.file.name}:{self.begin}-{self.end}"


def parse_key(key: str) -> tuple[str, int, int]:
    """Take a split's key apart: the name of its file, begin and end."""
    name, _, places = key.rpartition(":")
    begin, _, end = places.partition("-")
    return name, int(begin), int(end)


@dataclass(frozen=True)
class Piece:
    """The documents of a split whose position lies in [begin, end): a table of the schema DOCUMENTS."""

    begin: int
    end: int
    documents: pa.Table


class Row(NamedTuple):
    """What became of a record: a text, or the reason why there is none. A null `id` is made from place and text."""

    id: str | None = None
    text: str | None = None
    metadata: str | None = None
    reason: str | None = None
    detail: str | None = None


class Damage(NamedTuple):
    """A place where the file itself is broken; with `on_error=fail` the reading stops there."""

    reason: str
    detail: str
    id: str | None = None  # of the record that it hit; null: not known, the file's name stands for it


class Record(NamedTuple):
    """A document that was found but not worked on yet.

    `position` grows strictly from record to record of a file and does not depend on the split. `weight` is about the
    bytes of its text, known without the work that `Format.row` does. `payload` is a Damage, or whatever `row` needs.
    """

    position: int
    weight: int
    payload: Any


class CorruptFile(RuntimeError):
    """A file is broken and `on_error` is "fail"."""


class WrongFormat(ValueError):
    """A file cannot be what its reader expects. The message ends a sentence that begins with the file's name."""


class Format(Protocol):
    """How the records of one kind of file are found and turned into rows.

    Where `config.text_column` is null the text of a row is its whole record, one JSON object in one line, and there is no
    metadata: the line as it stands in the file where it is JSON, else all columns; {"text": ...} and what is known beside it
    where the file is text or web pages.

    `endings` are those of its files' names, in lower case and without that of a packing; `divisible` tells whether a
    range of a file that is not packed can be read alone. `records` streams: its memory is bounded by one record. It
    raises nothing for what is in the file: damage is a record. Errors of the storage pass through. `row` does the
    costly part (decoding, extracting) and never raises for what is in the record. `check` looks at the file's
    beginning: True where documents can be read, False where it is empty or broken, WrongFormat where it is something
    else, BadRequest where a column is missing.
    """

    endings: tuple[str, ...]
    divisible: bool

    def __init__(self, split: Split, config: InputConfig): ...

    def records(self, handle: BinaryIO) -> Iterator[Record]: ...

    def row(self, payload: Any) -> Row: ...

    def check(self, handle: BinaryIO) -> bool: ...


def require_columns(file: InputFile, config: InputConfig, columns: Iterable[str]) -> None:
    """Raise BadRequest where the configured columns are not among those of a file."""
    columns = list(columns)
    for key in ("text_column", "id_column"):
        wanted = getattr(config, key)
        if wanted is not None and wanted not in columns:
            near = get_close_matches(wanted, columns, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise BadRequest(
                f"no column {wanted!r} in {file.url}. There are: {', '.join(columns)}.{hint} Set input.{key}."
            )
