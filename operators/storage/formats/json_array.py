"""A file that is one JSON array, item by item."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

from operators.storage.base import CORRUPT
from operators.storage.compression import Gap, blocks
from operators.storage.formats.base import Damage, Record
from operators.storage.formats.line_records import BOM


def is_array(handle: BinaryIO, name: str) -> bool:
    """Tell whether the first thing in a file is an opening bracket; the handle is back at the beginning afterwards."""
    head = next(iter(blocks(handle, name)), b"")
    handle.seek(0)
    return not isinstance(head, Gap) and head.removeprefix(BOM).lstrip()[:1] == b"["


def array_records(handle: BinaryIO, name: str, text_column: str | None) -> Iterator[Record]:
    """Yield a record for each item. Its position is the item's index, its payload (position, item), or a Damage."""
    for index, item in enumerate(_items(handle, name)):
        if isinstance(item, Gap):
            yield Record(index, 0, Damage(CORRUPT, f"after {index} items of the array: {item.error}"))
        else:
            yield Record(index, _weight(item, text_column), (index, item))


def _weight(item: Any, text_column: str | None) -> int:
    if text_column is None:
        return _size(item)
    text = item.get(text_column) if isinstance(item, dict) else None
    return len(text) if isinstance(text, str) else 0


def _size(value: Any) -> int:
    """Count the characters of all that is said in a value, about those of its JSON."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(map(_size, value))
    return sum(len(key) + _size(item) for key, item in value.items()) if isinstance(value, dict) else 1


def _items(handle: BinaryIO, name: str) -> Iterator[Any]:
    """Yield the items that are whole, and a Gap where the array breaks."""
    import ijson

    found = ijson.sendable_list()
    parser = ijson.items_coro(found, "item", use_float=True)
    gap = None
    for block in chain(blocks(handle, name), [None]):
        try:
            if isinstance(block, Gap):
                gap = block
            elif block is None:
                parser.close()
            else:
                parser.send(block)
        except ijson.JSONError as error:
            gap = Gap(str(error).split("\n")[0])
        yield from found
        del found[:]
        if gap:
            yield gap
            return
