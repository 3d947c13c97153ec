"""The values of a JSON file that is no line each: items of an array, or values one after another.

Each is framed by its brackets and handed on as the line that it would be in JSON lines. After one that is broken it goes on where
the next one begins: below it, where each has a line of its own, else where its brackets say that it ends (json_mend.py). What is
deeper in a broken item is none. Where neither tells, a Gap says that nobody knows how many items are lost.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from operators.storage.compression import Gap
from operators.storage.formats.json_layout import Layout
from operators.storage.formats.json_mend import Among
from operators.storage.formats.json_scan import AHEAD, BLANK, NoValue, value_end
from operators.storage.window import Window

BETWEEN = re.compile(
    rb"(?:[ \t\r\n,\x1e]|\xef\xbb\xbf)*+"
)  # also what separates records, or begins files that were joined
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
    layout, told = Layout(), False  # told: nothing has come since a Gap
    while True:
        layout.between(_between(window))
        among = Among.VALUES if not array else Among.LISTED if alone else Among.ITEMS
        offset, following = window.offset, window.bytes(0, 1)
        if not following:
            gap = window.cross()
            if gap or (array and not told):
                yield (window.offset - 1, gap) if gap else (offset, Gap("the array is not closed"))
            if not gap:
                return
            told = not layout.resume(window, among)
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
            reached = layout.pass_broken(window, among)
            told = reached is None
            if reached is not None:
                yield offset, Broken(error) if reached.sure else Gap(f"{error}, and where it ends is not known")
            elif gap := window.cross():  # which is what broke it, and no second error
                yield offset, gap
                told = not layout.resume(window, among)
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
