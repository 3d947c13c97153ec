"""The formats there are, by name."""

from difflib import get_close_matches

from operators.errors import BadRequest
from operators.storage.compression import ENDINGS, bare_name
from operators.storage.formats.base import Format
from operators.storage.formats.jsonl import Jsonl
from operators.storage.formats.parquet import Parquet
from operators.storage.formats.text import Lines, Text
from operators.storage.formats.warc import Warc

# Where two share an ending, the first is the guess.
FORMATS: dict[str, type[Format]] = {"parquet": Parquet, "jsonl": Jsonl, "text": Text, "lines": Lines, "warc": Warc}


def guess(name: str) -> str | None:
    """Return the format that a file's name tells, or null."""
    bare = bare_name(name)
    return next((format for format, reader in FORMATS.items() if bare.endswith(reader.endings)), None)


def known_endings() -> str:
    endings = dict.fromkeys(ending for reader in FORMATS.values() for ending in reader.endings)
    return f"{' '.join(endings)}, each also with {' '.join(ENDINGS)}"


def require_format(name: str) -> None:
    """Raise BadRequest for a format that does not exist."""
    if name not in FORMATS:
        near = get_close_matches(str(name), FORMATS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise BadRequest(f"no format {name!r}. There are: {', '.join(FORMATS)}.{hint}")
