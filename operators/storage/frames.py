"""Where the records of a WARC or ARC file begin and end, also after damage.

This is not left to a library: warcio and FastWARC stop at the first record whose length lies or whose packing is
broken, and everything after it would be lost. Source: WARC 1.1 (ISO 28500:2017); the ARC 1.0 and 2.0 file format of the
Internet Archive.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from operators.storage.window import Window

MAX_HEAD = 2**16  # bytes
MAX_BLOCK = 2**26  # bytes; a bigger record is passed over without being held

BLANK = re.compile(rb"[\r\n\0]*")
NEWLINES = re.compile(rb"[\r\n]*")
NOTHING_MORE = re.compile(rb"[\r\n]*\Z")
HEAD_END = re.compile(rb"\r?\n\r?\n")
WARC_START = re.compile(rb"WARC/\d\.\d+[ \t]*\r?\n(?=[A-Za-z-]+:)")
LENGTH = re.compile(r"[0-9]{1,15}")  # of a record in bytes; one of more digits is none
# URL, IP address, date, media type (and more in version 2), length
ARC_START = re.compile(
    rb"([A-Za-z][A-Za-z0-9+.-]*:[^\r\n]*?) ([0-9A-Fa-f]*[.:][0-9A-Fa-f:.]*) (\S+) ([^\r\n]*?) ?(\d{1,15})\r?\n"
)


class RecordHead(NamedTuple):
    """What a record says of itself. `size` is that of the head, `length` that of the block after it, if readable."""

    size: int
    length: int | None
    kind: str
    id: str | None
    url: str
    date: str
    mime: str


class Frame(NamedTuple):
    """A record, or (without a head) bytes that belong to none. `error` says what is broken, `torn` that bytes lack.

    A block is null where it is broken, or longer than MAX_BLOCK. `gap` is where bytes lack before the next record, of which
    nothing tells what they were.
    """

    position: int
    head: RecordHead | None
    block: bytes | None
    error: str | None = None
    torn: bool = False
    gap: int | None = None


class Dialect(NamedTuple):
    start: re.Pattern[bytes]
    end: re.Pattern[bytes] | None
    head: Callable[[Window], RecordHead | None]


def frames(window: Window, dialect: Dialect) -> Iterator[Frame]:
    """Yield the records in order. After a broken one it goes on where the next one begins."""
    while True:
        while blank := len(window.match(BLANK)[0]) if window.fill(MAX_HEAD) else 0:
            window.skip(blank)
        position = window.offset
        if not window.fill(1):
            gap = window.cross()
            if gap is None:
                return
            yield Frame(position, None, None, gap.error, torn=True)
            continue
        head = dialect.head(window)
        if head is None:
            window.skip(1)
            gap = None if window.skip_to(dialect.start) else window.cross()
            yield Frame(position, None, None, gap.error if gap else "no record begins here", torn=True)
            continue
        yield _frame(window, dialect, head)


def _frame(window: Window, dialect: Dialect, head: RecordHead) -> Frame:
    """Return the record whose head is next, and leave the window where another one can begin."""
    position, length = window.offset, head.length
    if length is None:
        return _broken(window, dialect, head, "it has no content length")
    if length > MAX_BLOCK:
        return _passed_over(window, dialect, head)
    end = head.size + length
    held = window.fill(end + MAX_HEAD)
    if held < end or (window.gap and window.gap.inside and window.match(NOTHING_MORE, end)):
        error = window.gap.error if window.gap else "the file ends inside of it"
        return _broken(window, dialect, head, error, torn=True)
    if not _border(window, dialect, end):
        return _broken(window, dialect, head, f"no record ends after its {length} bytes")
    block = window.bytes(head.size, end)
    window.skip(end)
    return Frame(position, head, block)


def _broken(window: Window, dialect: Dialect, head: RecordHead, error: str, torn: bool = False) -> Frame:
    position, gap = window.offset, None
    window.skip(head.size)
    if window.skip_to(dialect.start):
        torn = False  # no bytes lack: the length was a lie
    elif window.cross():  # the gap is what broke this record, and no second error
        torn, gap = True, window.offset - 1
    return Frame(position, head, None, error, torn, gap)


def _passed_over(window: Window, dialect: Dialect, head: RecordHead) -> Frame:
    position = window.offset
    window.skip(head.size)
    if window.skip_to(dialect.start, head.length):
        return Frame(position, head, None, f"another record begins within its {head.length} bytes")
    if window.offset < position + head.size + head.length:
        error = window.gap.error if window.gap else "the file ends inside of it"
        return Frame(position, head, None, error, torn=True, gap=window.offset - 1 if window.cross() else None)
    return Frame(position, head, None)


def _border(window: Window, dialect: Dialect, ahead: int) -> bool:
    """Tell whether a record ends `ahead`: its end mark is there, the next one begins, or nothing comes any more."""
    if dialect.end and window.match(dialect.end, ahead):
        return True
    ahead += len(window.match(NEWLINES, ahead)[0])
    return window.match(dialect.start, ahead) is not None or window.fill(ahead + 1) == ahead


def _warc_head(window: Window) -> RecordHead | None:
    start = window.match(WARC_START)
    end = window.find(HEAD_END) if start else None
    if end is None or end > MAX_HEAD:
        return None
    size = end + len(window.match(HEAD_END, end)[0])
    fields = header_fields(window.bytes(len(start[0]), end))
    if "warc-type" not in fields:
        return None
    length = fields.get("content-length", "")
    return RecordHead(
        size,
        int(length) if LENGTH.fullmatch(length) else None,
        fields["warc-type"].lower(),
        fields.get("warc-record-id"),
        fields.get("warc-target-uri", "").strip("<>"),
        fields.get("warc-date", ""),
        fields.get("content-type", ""),
    )


def _arc_head(window: Window) -> RecordHead | None:
    start = window.match(ARC_START)
    if start is None:
        return None
    url, _, date, mime, length = (part.decode(errors="replace") for part in start.groups())
    if re.fullmatch(r"\d{14}", date):
        date = "{}-{}-{}T{}:{}:{}Z".format(date[:4], *(date[place : place + 2] for place in range(4, 14, 2)))
    kind = "filedesc" if url.startswith("filedesc:") else "response"
    return RecordHead(len(start[0]), int(length), kind, None, url, date, mime.split(" ")[0])


def header_fields(lines: bytes, joined: bool = False) -> dict[str, str]:
    """Return header fields by lower-case name; of a repeated one the first, or all `joined` by commas. Lines are unfolded."""
    fields = {}
    for line in re.sub(rb"\r?\n[ \t]+", b" ", lines).split(b"\n"):
        name, colon, value = line.decode(errors="replace").partition(":")
        if colon:
            key = name.strip().lower()
            fields[key] = (
                ", ".join(filter(None, (fields.get(key), value.strip()))) if joined else fields.get(key, value.strip())
            )
    return fields


WARC = Dialect(WARC_START, HEAD_END, _warc_head)
ARC = Dialect(ARC_START, None, _arc_head)  # one newline ends a record, which is no mark
