"""A file that is one JSON array, item by item."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

from operators.storage.base import Damage, Record
from operators.storage.compression import Gap, blocks
from operators.storage.lines import BOM


def is_array(handle: BinaryIO, name: str) -> bool:
    """Tell whether the first thing in a file is an opening bracket; the handle is back at the beginning afterwards."""
    head = next(iter(blocks(handle, name)), b"")
    handle.seek(0)
    return not isinstance(head, Gap) and head.removeprefix(BOM).lstrip()[:1] == b"["


def array_records(handle: BinaryIO, name: str, text_column: str) -> Iterator[Record]:
    """Yield a record for each item. Its position is the item's index, its payload (position, item), or a Damage."""
    for index, item in enumerate(_items(handle, name)):
        if isinstance(item, Gap):
            yield Record(index, 0, Damage("corrupt_file", f"after {index} items of the array: {item.error}"))
        else:
            text = item.get(text_column) if isinstance(item, dict) else None
            yield Record(index, len(text) if isinstance(text, str) else 0, (index, item))


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
