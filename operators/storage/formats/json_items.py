"""The values of a JSON file that is no line each: items of an array, or values one after another.

Each is framed by its brackets and handed on as the line that it would be in JSON lines. After one that is broken it goes on where
the next one begins: below it, where each has a line of its own, else where its brackets say that it ends (json_mend.py). What is
deeper in a broken item is none. Where neither tells, a Gap says that nobody knows how many items are lost.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from operators.storage.compression import Gap
from operators.storage.formats.json_mend import Among, Reached, pass_broken
from operators.storage.formats.json_scan import AHEAD, BLANK, STRING, NoValue, value_end
from operators.storage.window import Window

BETWEEN = re.compile(
    rb"(?:[ \t\r\n,\x1e]|\xef\xbb\xbf)*+"
)  # also what separates records, or begins files that were joined
FIRST_KEY = re.compile(rb"\{" + BLANK + rb"(" + STRING + rb")" + BLANK + rb":", re.DOTALL)
OF_OBJECTS = re.compile(rb"\[" + BLANK + rb"[{\]]")
NEWLINES = re.compile(rb"[\r\n]++[ \t]*+")
NOTHING = re.compile(rb"(?!)")
REMEMBERED = 2**20  # bytes of items that tell how others begin
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
    layout, told = Layout(), False  # told: nothing has come since a Gap
    while True:
        layout.between(_between(window))
        offset, following = window.offset, window.bytes(0, 1)
        if not following:
            gap = window.cross()
            if gap or (array and not told):
                yield (window.offset - 1, gap) if gap else (offset, Gap("the array is not closed"))
            if not gap:
                return
            told = not layout.resume(window)
        elif array and following == b"]":
            if alone:
                return
            window.skip(1)
            array = told = False
        elif not array and window.match(OF_OBJECTS):
            window.skip(1)
            array, told = True, False
            layout.begin()
        else:
            found = _value(window, wrong)
            told = not isinstance(found, bytes)
            if isinstance(found, bytes):
                layout.learn(found)
                window.skip(len(found))
                yield offset, NEWLINES.sub(b" ", found) if b"\n" in found or b"\r" in found else found
                continue
            error, end = found
            if end is not None:
                told = False
                window.skip(end)
                yield offset, Broken(error)
                continue
            among = Among.VALUES if not array else Among.LISTED if alone else Among.ITEMS
            reached = layout.pass_broken(window, among)
            told = reached is None
            if reached is not None:
                yield offset, Broken(error) if reached.sure else Gap(f"{error}, and where it ends is not known")
            elif gap := window.cross():  # which is what broke it, and no second error
                yield offset, gap
                told = not layout.resume(window)
            else:
                yield offset, Gap(f"{error}, and no other item begins after it")


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


class Layout:
    """How items lie and begin, as far as those seen so far tell."""

    def __init__(self):
        self._between = b""  # before the item that is next
        self._lead: bytes | None = None  # how a line begins that has an item
        self._lines, self._first = True, True  # each item has begun a line; the next one is the first of its array
        self._items: deque[bytes] = deque()
        self._held = 0  # bytes of them

    def between(self, between: bytes) -> None:
        """Take in what stands before an item."""
        self._between = between

    def begin(self) -> None:
        """Take in that an array begins."""
        self._first = True

    def learn(self, value: bytes) -> None:
        """Take in an item."""
        self._lead = self._line() or self._lead
        self._lines = self._lines and (self._first or self._line() is not None)
        self._first = False
        self._items.append(value)
        self._held += len(value)
        while len(self._items) > 1 and self._held > REMEMBERED:
            self._held -= len(self._items.popleft())

    def pass_broken(self, window: Window, among: Among) -> Reached | None:
        """Move from a broken item to where the next one begins, or its array ends; null where that is told by nothing.

        Then the window is at its end, or at a gap.
        """
        lead, array = self._line(), among is not Among.VALUES
        in_lines = lead is not None and self._lines and not self._flat(window, lead)
        if in_lines and (self._lead is not None or (self._items and window.bytes(0, 1) == b"{")):
            return Reached(True) if self._to_line(window, lead, array) else None
        if reached := pass_broken(window, among):
            return reached
        return Reached(False) if (self._to_line(window, lead, array) if in_lines else self._to_key(window)) else None

    def resume(self, window: Window) -> bool:
        """Move from bytes that are lost to where an item begins; tell whether one does."""
        if self._lead is not None and self._lines and not self._flat(window, self._lead):
            return self._to_line(window, self._lead, False)
        return self._to_key(window)

    def _line(self) -> bytes | None:
        """Return how the line begins in which the next item does, null where it stands after another thing in it."""
        _, newline, indent = self._between.rpartition(b"\n")
        return newline + indent if newline else None

    def _flat(self, window: Window, lead: bytes) -> bool:
        """Tell whether lines inside of items begin as those with items do."""
        inside = re.compile(re.escape(lead) + rb'["{]')
        return bool(window.match(re.compile(rb"\{[ \t\r]*" + inside.pattern))) or any(map(inside.search, self._items))

    def _to_line(self, window: Window, lead: bytes, array: bool) -> bool:
        """Move to a line that begins as those of items do, or to one with the end of the array."""
        item = re.escape(lead) + rb"(?=\{" + BLANK + rb"(?:\}|" + STRING + BLANK + rb":))"
        end = rb"|\n[ \t]{0,%d}(?=\])" % len(lead) if array else b""
        return _skip_past(window, re.compile(item + end, re.DOTALL))

    def _to_key(self, window: Window) -> bool:
        """Move to an object that begins as items do, where nothing inside of an item does, as far as can be seen."""
        keys = {key[1] for key in map(FIRST_KEY.match, self._items) if key}
        names = rb"(?:" + b"|".join(map(re.escape, sorted(keys))) + rb")"
        begin = rb"\{" + BLANK + names + BLANK + rb":"
        inside, deeper = re.compile(rb"[\[,:]" + BLANK + begin), re.compile(rb"[\[:]" + BLANK + begin)
        if not keys or any(map(inside.search, self._items)) or window.find(deeper) is not None:
            return window.skip_to(NOTHING)
        return _skip_past(window, re.compile(rb"[,}\]]" + BLANK + rb"(?=" + begin + rb")"))


def _skip_past(window: Window, pattern: re.Pattern[bytes]) -> bool:
    """Move to the end of what a pattern matches, but for blanks that end it; tell whether it does."""
    found = window.skip_to(pattern)
    if found:
        window.skip(len(window.match(pattern)[0].rstrip(b"\n \t\r")))  # what stands between the two is left
    return found
