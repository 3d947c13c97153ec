"""The values of a JSON file that is no line each: items of an array, or values one after another.

Each is framed by its brackets and handed on as the line that it would be in JSON lines. After one that is broken it goes on where
the next one begins, which is told by how those before it began: the key that comes first, and how far they are indented.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from operators.storage.compression import Gap
from operators.storage.formats.json_scan import AHEAD, BLANK, STRING, NoValue, value_end
from operators.storage.window import Window

BETWEEN = re.compile(
    rb"(?:[ \t\r\n,\x1e]|\xef\xbb\xbf)*+"
)  # also what separates records, or begins files that were joined
FIRST_KEY = re.compile(rb"\{" + BLANK + rb"(" + STRING + rb")" + BLANK + rb":", re.DOTALL)
OF_OBJECTS = re.compile(rb"\[" + BLANK + rb"[{\]]")
NEWLINES = re.compile(rb"[\r\n]++[ \t]*+")
Item = tuple[int, "bytes | Broken | Gap"]


class Broken(NamedTuple):
    """In the place of a value that is none."""

    error: str


def items(
    window: Window, wrong: Callable[[bytes], str | None], array: bool = False, alone: bool = False
) -> Iterator[Item]:
    """Yield (offset, value in one line) for the values that come, or a Broken for one that is none.

    `array` says that the window is inside of an array, which ends the items where it is `alone`; else other values may follow.
    Values that are arrays of objects stand for their items. `wrong` says why bytes are no value, null where they are. A Gap
    stands for an unknown number of items.
    """
    marker = Marker()
    while True:
        marker.between(_between(window))
        offset, following = window.offset, window.bytes(0, 1)
        if not following:
            gap = window.cross()
            if gap or array:
                yield (window.offset - 1, gap) if gap else (offset, Gap("the array is not closed"))
            if not gap:
                return
            marker.skip_to(window)
        elif array and following == b"]":
            if alone:
                return
            window.skip(1)
            array = False
        elif not array and window.match(OF_OBJECTS):
            window.skip(1)
            array = True
        else:
            found = _value(window, wrong)
            if isinstance(found, bytes):
                marker.learn(found)
                window.skip(len(found))
                yield offset, NEWLINES.sub(b" ", found) if b"\n" in found or b"\r" in found else found
                continue
            error, limit = found
            if marker.skip_to(window, limit) or limit is not None:
                yield offset, Broken(error)
                continue
            yield offset, Gap(f"{error}, and no other item begins after it")
            array = False


def _value(window: Window, wrong: Callable[[bytes], str | None]) -> bytes | tuple[str, int | None]:
    """Return the value that is next, or what is wrong with it and, if known, how many bytes it has."""
    try:
        end = value_end(window)
    except NoValue as error:
        return str(error), None
    value = window.bytes(0, end)
    error = wrong(value)
    return value if error is None else (error, end)


def _between(window: Window) -> bytes:
    """Skip what is between two values, and return it, or the end of much."""
    between = b""
    while window.fill(AHEAD) and (some := window.match(BETWEEN)[0]):
        between = (between + some)[-AHEAD:]
        window.skip(len(some))
    return between


class Marker:
    """How items begin, as far as those seen so far tell."""

    def __init__(self):
        self._between, self._item = b"", b""

    def between(self, between: bytes) -> None:
        """Take in what stands before an item."""
        self._between = between

    def learn(self, value: bytes) -> None:
        """Take in an item."""
        self._item = value

    def skip_to(self, window: Window, limit: int | None = None) -> bool:
        """Move from a broken item to where the next one begins, `limit` bytes ahead at the most; tell whether one does."""
        pattern = self._pattern()
        window.skip(1)
        found = window.skip_to(pattern, None if limit is None else limit - 1)
        if found:
            window.skip(len(window.match(pattern)[0].rstrip(b"\n \t\r")))  # what stands between the two is left
        return found

    def _pattern(self) -> re.Pattern[bytes]:
        """An item with a line of its own has others below it, as far from the margin; else one follows what ends another."""
        _, newline, indent = self._between.rpartition(b"\n")
        lead = re.escape(newline + indent) if newline else rb"[,}\]\[]" + BLANK
        key = FIRST_KEY.match(self._item)
        name = re.escape(key[1]) if key else STRING
        return re.compile(lead + rb"(?=\{" + BLANK + name + BLANK + rb":)", re.DOTALL)
