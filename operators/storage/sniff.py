"""What a file is, told from its first bytes."""

from collections.abc import Mapping
from typing import BinaryIO

from operators.storage.registry import readers

# Beside those of the formats, which say it themselves (Format.magic).
MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"BZh": "bzip2",
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "zip",
    b"%PDF": "PDF",
}

# Stands in the place of a file that was not fetched. Source: Git LFS, docs/spec.md, "The Pointer".
POINTER, MOST_POINTER = b"version https://git-lfs", 1024  # bytes


def foreign(head: bytes) -> str | None:
    """Name the kind of file that begins like this where it is none that holds UTF-8 lines, else null."""
    return format_of(head) or _kind(head, MAGIC)


def format_of(head: bytes) -> str | None:
    """Name the format whose files begin like this, where one is told by that."""
    return next((kind for _, reader in readers() if (kind := _kind(head, reader.magic))), None)


def _kind(head: bytes, kinds: Mapping[bytes, str]) -> str | None:
    return next((kind for magic, kind in kinds.items() if head.startswith(magic)), None)


def is_pointer(handle: BinaryIO, size: int) -> bool:
    """Tell whether a file of so many bytes is a pointer of Git LFS; the handle is back at the beginning afterwards."""
    if size >= MOST_POINTER:
        return False
    head = handle.read(len(POINTER))
    handle.seek(0)
    return head == POINTER
