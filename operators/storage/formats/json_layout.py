"""How the items of a JSON array lie and begin, learned from those that were read: where the next one is after a broken one."""

import json
import re
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

from operators.storage.formats.json_mend import FOLLOWING, Among, Reached, begin_items, pass_broken
from operators.storage.formats.json_scan import BLANK, STRING, value_end
from operators.storage.window import Window

FIRST_KEY = re.compile(rb"\{" + BLANK + rb"(" + STRING + rb")" + BLANK + rb":", re.DOTALL)
BLANK_ONES = re.compile(BLANK)
NOTHING = re.compile(rb"(?!)")
TOLD_BY = 20  # items
REMEMBERED = 2**20  # bytes of items that tell how others begin


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
        return (
            Reached(False)
            if (self._to_line(window, lead, array) if in_lines else self._to_key(window, among))
            else None
        )

    def resume(self, window: Window, among: Among) -> bool:
        """Move from bytes that are lost to where an item begins; tell whether one does."""
        if self._lead is not None and self._lines and not self._flat(window, self._lead):
            return self._to_line(window, self._lead, False)
        return self._to_key(window, among)

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

    def _to_key(self, window: Window, among: Among) -> bool:
        """Move to an object that begins as items do. Where others inside of them do so too, it must have the keys of one as well,
        as none inside has, and those that follow must be items."""
        firsts = {key[1] for key in map(FIRST_KEY.match, self._items) if key}
        if not firsts:
            return window.skip_to(NOTHING)
        begin = rb"\{" + BLANK + rb"(?:" + b"|".join(map(re.escape, sorted(firsts))) + rb")" + BLANK + rb":"
        inside, deeper = re.compile(rb"[\[,:]" + BLANK + begin), re.compile(rb"[\[:]" + BLANK + begin)
        doubtful = any(map(inside.search, self._items)) or window.find(deeper) is not None
        keys = self._keys() if doubtful else set()
        pattern = re.compile(rb"[,}\]]" + BLANK + rb"(?=" + begin + rb")")
        while _skip_past(window, pattern):
            if not doubtful or (begin_items(window, among) and _keys_of(window) in keys):
                return True
        return False

    def _keys(self) -> set[frozenset[str]]:
        """Give the keys of the last items, where those tell them from what is inside of them."""
        last = list(filter(None, map(_object, islice(reversed(self._items), TOLD_BY))))
        inner = {keys for item in last for value in item.values() for keys in _inner_keys(value)}
        return {keys for keys in map(frozenset, last) if len(keys) > 1} - inner


def _inner_keys(value: Any) -> Iterator[frozenset[str]]:
    if isinstance(value, dict):
        yield frozenset(value)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _inner_keys(inner)


def _keys_of(window: Window) -> frozenset[str]:
    begin = len(window.match(BLANK_ONES)[0])
    ahead = Window(iter([window.bytes(begin, FOLLOWING)]))
    return frozenset(_object(ahead.bytes(0, value_end(ahead))) or ())


def _object(content: bytes) -> dict | None:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _skip_past(window: Window, pattern: re.Pattern[bytes]) -> bool:
    """Move to the end of what a pattern matches, but for blanks that end it; tell whether it does."""
    found = window.skip_to(pattern)
    if found:
        window.skip(len(window.match(pattern)[0].rstrip(b"\n \t\r")))  # what stands between the two is left
    return found
