"""Where a JSON value ends that is broken, as far as it can be told: quotes in it are not escaped, or brackets lack."""

import re
from enum import Enum
from typing import NamedTuple

from operators.storage.formats.json_scan import AHEAD, BLANK, STRING, NoValue, Unclosed, value_end
from operators.storage.window import Window

SIZES = (2**14, 2**18, 2**22, 2**24)  # bytes that are looked at, the next where the ones before do not tell
FOLLOWING = 2**14  # bytes after it that are looked at

LITERAL = rb"(?:-?[0-9]|true|false|null|NaN|-?Infinity)"
MARK = re.compile(rb'["\[\]{}]')
QUOTE = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)  # the next one that is not escaped
BEFORE_STRING = (b"", b"{", b"[", b",", b":")
# What follows a quote that ends a string: a key, or a value.
AFTER_KEY = re.compile(BLANK + rb":" + BLANK + rb'(?:["\[{]|' + LITERAL + rb")")
AFTER_VALUE = re.compile(
    BLANK + rb"(?:," + BLANK + rb'(?:["\[{\]}]|' + LITERAL + rb")|[\]}]" + BLANK + rb"(?:[,\[\]{}\x1e]|\Z))"
)
OBJECT = re.compile(rb"\{" + BLANK + rb"(?:\}|" + STRING + BLANK + rb":)", re.DOTALL)
# An object in a string whose quotes are not escaped: or is it one that follows?
INNER = re.compile(rb"\{" + BLANK + rb'"')
COMMA = re.compile(BLANK + rb",?" + BLANK)


class Among(Enum):
    """What a value is one of, by what comes after the last of them."""

    VALUES = re.compile(rb"\x1e|\Z")  # of a file
    ITEMS = re.compile(rb"\]" + BLANK + rb"(?:[\[{\x1e]|\Z)")  # of an array
    LISTED = re.compile(
        rb"\]" + BLANK + rb"(?:\}(?!" + BLANK + rb"[,\]}])|," + BLANK + rb'")'
    )  # of one inside of an object


class Reached(NamedTuple):
    """The next item, or the end of its array. It is `sure` that one item was passed over, and not others with it."""

    sure: bool


def pass_broken(window: Window, among: Among) -> Reached | None:
    """Move past the broken value that is next, where it can be told where it ends; else stay."""
    for size in SIZES:
        held = window.fill(size)
        over = held <= size and window.stopped
        found = _end(window.bytes(0, size), among)
        if found and (over or found[0] + AHEAD < size):
            window.skip(found[0])
            return Reached(found[1])
        if over:
            return None
    return None


def _end(content: bytes, among: Among) -> tuple[int, bool] | None:
    """Return where a broken value ends that begins a content, and whether no other one is in it; null where nothing tells."""
    open_ones, at, sure = bytearray(), 0, True
    while mark := MARK.search(content, at):
        begin, at, kind = mark.start(), mark.end(), mark[0]
        before = _before(content, begin)
        if kind == b'"' and before not in BEFORE_STRING:
            continue  # it ends one whose beginning lacks
        if kind == b'"':
            at = _string_end(content, at, before)
            inner = at is None or INNER.search(content, begin, at)
            if at is None or (inner and AFTER_KEY.match(content, at)):
                return None
            sure = sure and not inner
        elif kind in b"[{":
            misplaced = kind == b"{" and before != b":" and open_ones[-1:] in (b"", b"{")
            if misplaced and begin and len(open_ones) < 2 and _go_on(content, begin, among):
                return begin, sure
            if misplaced and open_ones:
                open_ones.pop()  # the one before it is not closed, or this one is the next item
                sure = False
            open_ones += kind
        else:
            opened = open_ones.rfind(b"[" if kind == b"]" else b"{")
            if opened >= 0 or (kind == b"}" and not open_ones):
                sure = (
                    sure and opened == len(open_ones) - 1
                )  # else those inside of it are not closed, or it is one too many
                del open_ones[max(opened, 0) :]
                if not open_ones and _go_on(content, at, among):
                    return at, sure
            elif begin and among.value.match(content, begin):
                return begin, sure and not open_ones
    return None


def begin_items(window: Window, among: Among) -> bool:
    """Tell whether the objects that come are values of the kind: whole ones, up to the last or for as far as is looked."""
    held = window.fill(FOLLOWING + 1)
    return _chain(window.bytes(0, FOLLOWING), among, held > FOLLOWING) is True


def _go_on(content: bytes, at: int, among: Among) -> bool:
    """Tell whether what comes now may be others of the kind: not objects of a list inside of one."""
    return _chain(content[at : at + FOLLOWING], among, len(content) > at + FOLLOWING) is not False


def _chain(content: bytes, among: Among, cut: bool) -> bool | None:
    """Tell by what comes after the objects that a content begins with what they are; null where one of them is broken.

    `cut` tells that there is more, and that they may go on and on.
    """
    window, number = Window(iter([content])), 0
    window.fill(len(content))
    window.skip(len(window.match(COMMA)[0]))
    while window.match(OBJECT):
        try:
            window.skip(value_end(window))
        except Unclosed:
            return True if cut and number else None
        except NoValue:
            return None
        window.skip(len(window.match(COMMA)[0]))
        number += 1
    return window.match(among.value) is not None


def _string_end(content: bytes, at: int, before: bytes) -> int | None:
    """Return where a string ends that has begun: at the first quote after which the JSON goes on as it can there.

    Where a value has come up to the end of a key, the quote lacks that ended it.
    """
    is_value, last = before == b":", at
    while quote := QUOTE.match(content, at):
        last, at = at, quote.end()
        if AFTER_VALUE.match(content, at):
            return at
        if AFTER_KEY.match(content, at) and (not is_value or _before(content, last - 1) == b","):
            return at
    return None


def _before(content: bytes, at: int) -> bytes:
    """Return the last character before a place that is no blank."""
    return content[max(0, at - 2**10) : at].rstrip()[-1:]
