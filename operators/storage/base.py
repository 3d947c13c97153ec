"""The contract of reading: an input is files, a file is splits, a split is pieces of documents.

One format is one file of formats/. It keeps the promises of `Format` (formats/base.py); everything that the formats share
(listing, pieces, what is done already, ids) is written once, in listing.py and reading.py.
"""

from dataclasses import dataclass

import pyarrow as pa

END = 2**63 - 1  # where the last piece of every split ends
# The reasons of rows that stand for an unknown number of documents: what could not be read of a file (which may be tried again),
# and a place where its contents are broken.
UNREADABLE, CORRUPT = "unreadable_file", "corrupt_file"
UNCOUNTED = (UNREADABLE, CORRUPT)
BROKEN = "broken_record"  # the reason of a row that stands for one document, which is broken
PIECE_BYTES = 64 * 1024
MAX_RECORD = 256 * 2**20  # bytes; a bigger record is rejected as `too_large`, so that memory stays bounded


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
