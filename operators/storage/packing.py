"""How files are packed: what their names say, and what their first bytes tell, which counts.

Names lie: content is plain under `.gz`, or packed under none. Text in another encoding than UTF-8 counts as packed too, where
its byte order mark tells which.
"""

import re
from typing import BinaryIO

from operators.storage.sniff import format_of

HEAD = 128  # first bytes of a file that tell what it is
# Frames that hold no content, in the formats of lz4 and zstandard; some hold the dictionary of a WARC.
SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
BEGINS = {
    ".gz": re.compile(rb"\x1f\x8b\x08"),
    ".bz2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)"),
    ".zst": re.compile(rb"\x28\xb5\x2f\xfd|" + SKIPPABLE.pattern),
    ".xz": re.compile(rb"\xfd7zXZ\0"),
    ".lz4": re.compile(rb"\x04\x22\x4d\x18"),
    "utf-32-le": re.compile(rb"\xff\xfe\0\0"),
    "utf-32-be": re.compile(rb"\0\0\xfe\xff"),
    "utf-16-le": re.compile(rb"\xff\xfe"),
    "utf-16-be": re.compile(rb"\xfe\xff"),
}
ENDINGS = tuple(name for name in BEGINS if name.startswith("."))
CONTROL = re.compile(rb"[\0-\x08\x0e-\x1a\x1c\x1d\x1f]")  # characters that no text has, and no JSON with separators


def packing(name: str) -> str | None:
    """Return the ending that tells how a file is packed, null for a plain one."""
    return next((ending for ending in ENDINGS if name.lower().endswith(ending)), None)


def bare_name(name: str) -> str:
    """Return a file's name in lower case, without the ending of its packing."""
    return name.lower().removesuffix(packing(name) or "")


def packed_how(handle: BinaryIO, name: str) -> str | None:
    """Tell how a file is packed, null for a plain one; the handle is back at the beginning afterwards."""
    handle.seek(0)
    head = handle.read(HEAD)
    handle.seek(0)
    return told_by(head, packing(name))


def told_by(head: bytes, ending: str | None) -> str | None:
    """Tell how something is packed that begins so, and whose name ends so.

    The name decides only where the beginning is broken, which is seen by what neither a text nor a known format begins with.
    """
    if ending == ".lz4" and SKIPPABLE.match(head):
        return ending
    found = next((how for how, begins in BEGINS.items() if begins.match(head)), None)
    return found or (ending if ending and CONTROL.search(head) and not format_of(head) else None)
