"""Lines: of a byte range of a plain file, or of a whole packed one."""

from collections.abc import Iterator
from typing import BinaryIO

from operators.storage.base import CORRUPT, END, MAX_RECORD, Split
from operators.storage.compression import Gap, blocks, plain_blocks
from operators.storage.formats.base import Damage, Record, Row
from operators.storage.packing import packed_how

BOM = b"\xef\xbb\xbf"


def lines(handle: BinaryIO, split: Split) -> Iterator[tuple[int, bytes | Gap | None]]:
    """Yield (position, line without its newline) for the lines that begin in the split.

    Positions are byte offsets in the unpacked file. A packed file cannot be cut: its first split has all lines. A line above
    MAX_RECORD bytes is null, and never held as a whole. A Gap ends the lines; its position is where the line that it broke began.
    """
    begin, end, source = split.begin, split.end, plain_blocks(handle)
    if packed_how(handle, split.file.name):
        if begin > 0:
            return
        end, source = END, blocks(handle, split.file.name)
    position = max(begin - 1, 0)  # one byte early: a newline there means that a line begins at `begin`
    handle.seek(position)
    foreign = begin > 0  # the first line belongs to the split before this one
    parts, size = [], 0
    for block in source:
        if isinstance(block, Gap):
            yield position, block
            return
        *whole, rest = block.split(b"\n")
        for line in whole:
            length = size + len(line)
            if not foreign:
                yield position, _line(parts, line, length)
            foreign, parts, size = False, [], 0
            position += length + 1
            if position >= end:
                return
        size += len(rest)
        if foreign and position + size >= end:
            return
        parts = [] if foreign or size > MAX_RECORD else [*parts, rest] if rest else parts
    if size and not foreign:
        yield position, _line(parts, b"", size)


def _line(parts: list[bytes], last: bytes, length: int) -> bytes | None:
    if length > MAX_RECORD:
        return None
    return b"".join((*parts, last)) if parts else last


def line_records(handle: BinaryIO, split: Split) -> Iterator[Record]:
    """Yield a record for each line that is not blank. Its payload is (position, line), or a Row or Damage."""
    for position, line in lines(handle, split):
        if line is None:
            detail = f"the line at byte {position} has more than {MAX_RECORD} bytes"
            yield Record(position, 0, Row(reason="too_large", detail=detail))
        elif isinstance(line, Gap):
            yield Record(position, 0, Damage(CORRUPT, f"at byte {position} of the unpacked file: {line.error}"))
        elif (line := line.removeprefix(BOM)) and not line.isspace():  # files that were joined have one at each seam
            yield Record(position, len(line), (position, line))


def not_utf8(error: UnicodeError, position: int) -> Row:
    """Return the row of a record at `position` whose bytes or escapes are no text."""
    return Row(reason="invalid_utf8", detail=f"at byte {position + error.start} of the file: {error.reason}")


def text_row(text: str, id: str | None = None, metadata: str | None = None) -> Row:
    """Return the row of a text, rejected where there is nothing in it."""
    if not text or text.isspace():
        return Row(id, text, metadata, "empty_text")
    return Row(id, text, metadata)
