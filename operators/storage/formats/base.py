"""The contract of a format: how the records of one kind of file are found and turned into rows."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple, Protocol

from operators.errors import BadRequest
from operators.storage.base import InputFile, Split
from operators.storage.config import ID, InputConfig
from operators.storage.watched import Watched
from operators.text.extract.base import DEFAULT, ExtractConfig

LISTED = 20  # columns that a message names
MOST_DETAIL = 500  # characters of what a library says


class Row(NamedTuple):
    """What became of a record: a text, or the reason why there is none. A null `id` is made from place and text."""

    id: str | None = None
    text: str | None = None
    metadata: str | None = None
    reason: str | None = None
    detail: str | None = None


class Damage(NamedTuple):
    """A place where the file itself is broken; with `on_error=fail` the reading stops there.

    `reason` says how many documents that costs: BROKEN one, of UNCOUNTED (base.py) it is not known.
    """

    reason: str
    detail: str
    id: str | None = None  # of the record that it hit, where it is known


class Record(NamedTuple):
    """A document that was found but not worked on yet.

    `position` grows strictly from record to record of a file and does not depend on the split. `weight` is about the
    bytes of its text, known without the work that `Format.row` does. `payload` is a Damage, a Row
    where there is nothing left to do, or whatever `Format.row` needs; that may run in another process, so what it needs of the
    file travels in the payload, or is fixed by the constructor.
    """

    position: int
    weight: int
    payload: Any


class WrongFormat(ValueError):
    """A file cannot be what its reader expects. The message ends a sentence that begins with the file's name."""


class Format(Protocol):
    """How the records of one kind of file are found and turned into rows.

    Where `config.text_column` is null the text of a row is its whole record, one JSON object in one line, and there is no
    metadata: the line as it stands in the file where it is JSON, else all columns; {"text": ...} and what is known beside it
    where the file is text or web pages.

    `extract` says how the main text of web pages is found, where a format has some.

    `endings` are those of its files' names, in lower case and without that of a packing; `magic` how its files begin where
    that tells them from others, with what they are called then; `divisible` tells whether a
    range of a file that is not packed can be read alone. `records` streams: its memory is bounded by one record. It
    raises nothing for what is in the file: damage is a record. Errors of the storage pass through; a handle remembers them.
    `row` does the costly part (decoding, extracting) and never raises for what is in the record. What either raises all the
    same costs the rest of the file, or the record (reading.py). `check` looks at the file's beginning: True where documents
    can be read, False where it is empty or broken, WrongFormat where it is something else, BadRequest where a column is missing.
    """

    endings: tuple[str, ...]
    magic: Mapping[bytes, str]
    divisible: bool

    def __init__(self, split: Split, config: InputConfig, extract: ExtractConfig = DEFAULT): ...

    def records(self, handle: Watched) -> Iterator[Record]: ...

    def row(self, payload: Any) -> Row: ...

    def check(self, handle: Watched) -> bool: ...


def require_columns(file: InputFile, config: InputConfig, columns: Iterable[str]) -> None:
    """Raise BadRequest where the configured columns are not among those of a file."""
    columns = list(columns)
    for key in ("text_column", "id_column"):
        wanted = getattr(config, key)
        if wanted is not None and wanted not in columns and (key, wanted) != ("id_column", ID):
            near = get_close_matches(wanted, columns, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise BadRequest(
                f"no column {wanted!r} in {file.url}. There are: {listed(columns)}.{hint} Set input.{key}."
            )


def require_id_of(file: InputFile, config: InputConfig, kept: str | None = None) -> None:
    """Raise BadRequest where a column of ids is asked for of a file that has no columns; `kept` are the ids that it has."""
    if config.id_column not in (None, ID):
        takes = f"input.id_column={ID} takes {kept}, null makes all ids" if kept else f"{ID} and null make all ids"
        raise BadRequest(f"no column {config.id_column!r} is in {file.url}, which has none: {takes}.")


def listed(columns: Iterable[Any]) -> str:
    """Name columns, the first of very many."""
    names = list(map(str, columns))
    words = ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
    return words.encode(errors="backslashreplace").decode()


def said(error: BaseException) -> str:
    """Say in a line what an exception says, in characters that can be written down."""
    words = " ".join(f"{type(error).__name__}: {error}".split())
    return words[:MOST_DETAIL].encode(errors="backslashreplace").decode()
