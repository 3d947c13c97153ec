"""How a JSON file is laid out, told from its beginning and not from its name."""

import re
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Any, BinaryIO

from operators.storage.compression import blocks
from operators.storage.formats.json_items import OF_OBJECTS
from operators.storage.formats.json_scan import AHEAD, BLANK, STRING, NoValue, Unclosed, value_end
from operators.storage.window import Window

HEADS = (2**16, 2**22)  # bytes that are looked at; the second where the first do not tell
LEAD = re.compile(rb"(?:\xef\xbb\xbf|[ \t\r\n\x1e])*+")
MEMBER = re.compile(BLANK + rb"[{,]" + BLANK + rb"(" + STRING + rb")" + BLANK + rb":" + BLANK, re.DOTALL)
OBJECTS = re.compile(rb"\[" + BLANK + rb"(?=\{)")
END = re.compile(BLANK + rb"\}")
# Where whole records are read: what lists of records are called, and what an object has that is a record itself.
CONTAINERS = (
    *(
        "data",
        "dataset",
        "rows",
        "records",
        "examples",
        "instances",
        "items",
        "samples",
        "entries",
        "documents",
        "docs",
    ),
    *("train", "training", "validation", "valid", "val", "dev", "eval", "test", "testing"),
)
OF_A_RECORD = (
    *(
        "id",
        "messages",
        "conversations",
        "conversation",
        "dialog",
        "dialogue",
        "turns",
        "instruction",
        "instructions",
        "prompt",
    ),
    *(
        "question",
        "query",
        "input",
        "inputs",
        "context",
        "text",
        "content",
        "output",
        "outputs",
        "response",
        "answer",
        "answers",
    ),
    *("completion", "target", "targets", "chosen", "rejected", "label"),
)
OF_A_TURN = ("role", "from")  # one of these is in every turn of a chat, which is a record as a whole

Parse = Callable[[bytes], Any]  # raises ValueError or RecursionError for what is no JSON


class Shape(Enum):
    LINES = auto()  # a value in each line
    ARRAY = auto()  # the values are the items of an array
    VALUES = auto()  # one after another, over several lines or several in one
    OBJECT = auto()  # one object, which may have the list of values inside


class Ambiguous(ValueError):
    """Several lists of an object may be the one that is meant. The message ends a sentence that begins with the file's name."""


def shape_of(handle: BinaryIO, name: str, parse: Parse) -> Shape:
    """Tell how a file is laid out; the handle is back at the beginning afterwards."""
    shape, head = None, b""
    for size in HEADS:
        handle.seek(0)
        window = Window(blocks(handle, name))
        held = window.fill(size)
        window.skip(len(window.match(LEAD)[0]))
        head = window.bytes(0, size)
        if shape := _told(head, held < size and not window.gap, parse):
            break
    handle.seek(0)
    return shape or (Shape.OBJECT if _has_list(head) else Shape.LINES)


def list_inside(handle: BinaryIO, name: str, column: str | None, parse: Parse) -> bytes | None:
    """Return the key of an object under which the list of documents is, null where the object is none but itself.

    That is the only list whose objects have the text column. Where whole records are read it is the only one of CONTAINERS that
    has objects, no turns of a chat, and none in an object that is a record itself. Raises Ambiguous where there are several.
    Reads all of the file, and holds little of it.
    """
    window, lists = Window(blocks(handle, name)), {}
    keys = []
    try:
        for key in _members(window):
            keys.append(_parsed(key, parse))
            if objects := window.match(OBJECTS):
                window.skip(len(objects[0]))
                first = _parsed(window.bytes(0, value_end(window)), parse)
                lists[key] = first if isinstance(first, dict) else {}
                window.skip(value_end(window, hold=False, inside=b"["))
        end = window.match(END)
        window.skip(len(end[0]) if end else 0)
        window.skip(len(window.match(LEAD)[0]))
        if window.fill(1):
            return None  # it is one of several
    except NoValue:
        pass  # what comes before the broken place counts
    if column in keys or (column is None and any(key in OF_A_RECORD for key in keys)):
        return None
    fit = [key for key, first in lists.items() if _may_be_meant(_parsed(key, parse), first, column)]
    if len(fit) > 1:
        raise Ambiguous(
            f"is one object, and {' and '.join(map(bytes.decode, fit))} in it are lists of objects that may be meant. "
            "Give a file for each list, or its objects one a line"
        )
    return fit[0] if fit else None


def inside_array(handle: BinaryIO, name: str) -> Window:
    """Return a window inside of the array that a file begins with."""
    window = Window(blocks(handle, name))
    window.fill(AHEAD)
    window.skip(len(window.match(LEAD)[0]) + 1)
    return window


def inside_object(handle: BinaryIO, name: str, key: bytes) -> Window:
    """Return a window inside of the list that an object has under a key."""
    window = Window(blocks(handle, name))
    next(found for found in _members(window) if found == key)
    window.skip(1)
    return window


def _told(head: bytes, whole: bool, parse: Parse) -> Shape | None:
    """Tell the shape of a file that begins so; null where more must be seen. `whole` says that this is all of the file."""
    line, newline, rest = head.partition(b"\n")
    first_of_lines = newline and rest.strip() and _parsed(line, parse) is not None
    if head[:1] == b"[":
        return Shape.LINES if first_of_lines and not OF_OBJECTS.match(head) else Shape.ARRAY
    if head[:1] != b"{" or first_of_lines:
        return Shape.LINES
    try:
        end = value_end(Window(iter([head])))
    except Unclosed:
        if whole:
            return Shape.OBJECT if _has_list(head) else Shape.LINES
        return Shape.OBJECT if newline else None
    except NoValue:
        if newline and rest.strip() and line.rstrip()[-1:] not in b"{[,:":
            return Shape.LINES  # the first of which is broken
        return Shape.OBJECT if _has_list(head) else Shape.VALUES if newline else Shape.LINES
    alone = whole and not head[end:].strip()
    if _parsed(head[:end], parse) is None and b"\n" not in head[:end] and not (alone and _has_list(head)):
        return Shape.LINES  # the first of which is broken
    return Shape.OBJECT if alone else Shape.VALUES


def _has_list(head: bytes) -> bool:
    """Tell whether the object that begins so has a list of objects, as far as that can be seen."""
    window = Window(iter([head]))
    try:
        return any(window.match(OBJECTS) for _ in _members(window))
    except NoValue:
        return False


def _members(window: Window) -> Iterator[bytes]:
    """Yield the keys of the object that is next. The window is at the value then; it may be moved to its end, or left there."""
    window.fill(AHEAD)
    window.skip(len(window.match(LEAD)[0]))
    while window.fill(AHEAD) and (found := window.match(MEMBER)):
        window.skip(len(found[0]))
        window.fill(AHEAD)
        at = window.offset
        yield found[1]
        if window.offset == at:
            window.skip(value_end(window, hold=False))


def _may_be_meant(key: str, first: dict, column: str | None) -> bool:
    if column is not None:
        return column in first
    return str(key).lower() in CONTAINERS and not any(name in first for name in OF_A_TURN)


def _parsed(content: bytes, parse: Parse) -> Any:
    try:
        return parse(content)
    except (ValueError, RecursionError):
        return None
