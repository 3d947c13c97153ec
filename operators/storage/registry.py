"""The input formats there are. To add one, write it under formats/ and add a line here."""

from collections.abc import Iterator
from difflib import get_close_matches
from importlib import import_module

from operators.errors import BadRequest

# MODULE:CLASS of each, loaded when a file is looked at. Where two share an ending, the first is the guess.
FORMATS = {
    "parquet": "operators.storage.formats.parquet:Parquet",
    "arrow": "operators.storage.formats.arrow:Arrow",
    "jsonl": "operators.storage.formats.jsonl:Jsonl",
    "text": "operators.storage.formats.text:PlainText",
    "lines": "operators.storage.formats.lines:Lines",
    "warc": "operators.storage.formats.warc:Warc",
}


def reader_of(name: str) -> type:
    """Give the class that reads a format; it keeps the contract of formats/base.py."""
    module, _, reader = FORMATS[name].partition(":")
    return getattr(import_module(module), reader)


def readers() -> Iterator[tuple[str, type]]:
    """Give all formats with their names."""
    return ((name, reader_of(name)) for name in FORMATS)


def guess(bare: str) -> str | None:
    """Return the format that a file's name tells, which is given without the ending of a packing; else null."""
    return next((name for name, reader in readers() if bare.endswith(reader.endings)), None)


def known_endings() -> str:
    """List the endings of all formats."""
    return " ".join(dict.fromkeys(ending for _, reader in readers() for ending in reader.endings))


def require_format(name: str) -> None:
    """Raise BadRequest for a format that does not exist."""
    if name not in FORMATS:
        near = get_close_matches(str(name), FORMATS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise BadRequest(f"no format {name!r}. There are: {', '.join(FORMATS)}.{hint}")
