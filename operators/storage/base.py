"""The contract of reading: an input is files, a file is splits, a split is pieces of documents.

One format is one file of this folder. It keeps the promises of `Format`; everything that the formats share (listing,
pieces, what is done already, ids) is written once, in listing.py and reading.py.
"""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

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


class CorruptFile(RuntimeError):
    """A file is broken and `on_error` is "fail"."""
