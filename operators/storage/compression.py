"""Files as a stream of unpacked bytes, with the places told where bytes are missing."""

import bz2
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import zstandard

from operators.storage.watched import Watched

READ = 2**20  # bytes read from the storage at once
STEP = 2**10  # packed bytes unpacked at once: a broken step is lost but for gzip, so it is small
BLOCK = 2**18  # unpacked bytes handed on at once, about


class Gap(NamedTuple):
    """Here the file is broken: an unknown number of bytes is missing.

    `inside` tells that the bytes just before it are of the broken frame, and so may be wrong themselves.
    """

    error: str
    inside: bool = False


class Codec(NamedTuple):
    unpacker: Callable[[], Any]  # of one frame; has decompress, eof and unused_data
    magic: bytes  # how a frame begins
    errors: tuple[type[Exception], ...]


CODECS = {
    ".gz": Codec(lambda: zlib.decompressobj(wbits=31), b"\x1f\x8b\x08", (zlib.error,)),
    ".bz2": Codec(bz2.BZ2Decompressor, b"BZh", (OSError, ValueError)),
    # A window of 2 GiB, because dumps packed with `zstd --long=31` are common.
    ".zst": Codec(
        lambda: zstandard.ZstdDecompressor(max_window_size=2**31).decompressobj(),
        b"\x28\xb5\x2f\xfd",
        (zstandard.ZstdError,),
    ),
}
ENDINGS = (*CODECS, ".lz4")


def packing(name: str) -> str | None:
    """Return the ending that tells how a file is packed, null for a plain one."""
    return next((ending for ending in ENDINGS if name.lower().endswith(ending)), None)


def bare_name(name: str) -> str:
    """Return a file's name in lower case, without the ending of its packing."""
    return name.lower().removesuffix(packing(name) or "")


def blocks(handle: BinaryIO, name: str) -> Iterator[bytes | Gap]:
    """Stream the unpacked bytes of a file that is packed as its name says.

    Yields a Gap where it is broken or ends too early, and goes on at the next place where a frame begins (a WARC file
    has one for each record). Errors of the storage pass through.
    """
    ending = packing(name)
    if ending is None:
        return iter(lambda: handle.read(READ), b"")
    return _joined(_lz4(handle) if ending == ".lz4" else _frames(handle, CODECS[ending]))


def _frames(handle: BinaryIO, codec: Codec) -> Iterator[bytes | Gap]:
    frame, lost, given, rest = None, False, 0, b""
    for step in _steps(handle):
        packed, rest = rest + step, b""
        while packed:
            fresh = frame is None
            if fresh and lost:
                at = packed.find(codec.magic)
                if at < 0:
                    rest = packed[1 - len(codec.magic) :]
                    break
                packed = packed[at:]
            elif fresh and not packed.strip(b"\0"):  # padding of tapes
                break
            if fresh:
                frame, given = codec.unpacker(), 0
            before = frame.copy() if hasattr(frame, "copy") else None
            try:
                unpacked = frame.decompress(packed)
            except codec.errors as error:
                salvaged = _salvaged(before, packed, codec) if before else b""
                yield salvaged
                yield Gap(f"{type(error).__name__}: {error}", inside=given + len(salvaged) > 0)
                frame, lost, packed = None, True, packed[1:] if fresh else packed
                continue
            yield unpacked
            given += len(unpacked)
            packed = frame.unused_data if frame.eof else b""
            if frame.eof:
                frame, lost = None, False
    if frame is not None:
        yield Gap("the file ends too early", inside=given > 0)


def _salvaged(frame: Any, packed: bytes, codec: Codec) -> bytes:
    """Unpack up to the very byte that is broken, because the head of a record may be among the last ones."""
    parts = []
    with suppress(*codec.errors):
        parts.extend(frame.decompress(packed[at : at + 1]) for at in range(len(packed)))
    return b"".join(parts)


def _steps(handle: BinaryIO) -> Iterator[bytes]:
    while block := handle.read(READ):
        for begin in range(0, len(block), STEP):
            yield block[begin : begin + STEP]


def _lz4(handle: BinaryIO) -> Iterator[bytes | Gap]:
    watched = Watched(handle)
    stream = pa.CompressedInputStream(pa.PythonFile(watched, "r"), "lz4")
    try:
        yield from iter(lambda: stream.read(STEP), b"")
    except (OSError, pa.ArrowException) as error:
        watched.raise_failure()
        yield Gap(str(error))


def _joined(parts: Iterator[bytes | Gap]) -> Iterator[bytes | Gap]:
    """Join small parts into blocks; the order is kept."""
    waiting, size = [], 0
    for part in parts:
        gap = isinstance(part, Gap)
        if not gap:
            waiting.append(part)
            size += len(part)
        if size and (gap or size >= BLOCK):
            yield b"".join(waiting)
            waiting, size = [], 0
        if gap:
            yield part
    if size:
        yield b"".join(waiting)
