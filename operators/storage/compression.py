"""Files as a stream of unpacked bytes, with the places told where bytes are missing."""

import bz2
import codecs
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa

from operators.storage.packing import BEGINS, HEAD, packing, told_by
from operators.storage.watched import Watched

READ = 2**20  # bytes read from the storage at once
STEP = 2**10  # packed bytes unpacked at once: a broken step is lost but for gzip, so it is small
BLOCK = 2**18  # unpacked bytes handed on at once, about
FRAME_HEAD = 8  # bytes that tell what kind of frame begins
LAYERS = 3  # of packing, the text's encoding among them


class Gap(NamedTuple):
    """Here the file is broken: an unknown number of bytes is missing.

    `inside` tells that the bytes just before it are of the broken frame, and so may be wrong themselves.
    """

    error: str
    inside: bool = False


Parts = Iterator[bytes | Gap]


class Codec(NamedTuple):
    """How the frames of a file are unpacked: `unpacker` makes what unpacks the one that begins so.

    It has decompress, eof and unused_data. `magic` is how a frame begins, as it is looked for after damage.
    """

    unpacker: Callable[[bytes], Any]
    magic: re.Pattern[bytes]
    errors: tuple[type[Exception], ...]


def blocks(handle: BinaryIO, name: str) -> Parts:
    """Stream the unpacked bytes of a file from its beginning, whatever its name says of how it is packed.

    Yields a Gap where it is broken or ends too early, and goes on at the next place where a frame begins (a WARC file
    has one for each record). Errors of the storage pass through.
    """
    yield from _unpacked(plain_blocks(handle), packing(name), LAYERS)


def plain_blocks(handle: BinaryIO) -> Iterator[bytes]:
    """Stream the bytes of a file from where it is, as they are."""
    return iter(lambda: handle.read(READ), b"")


class Stream:
    """Parts as a file that is read on and on; it ends at the first gap, and keeps it. `short` tells that it has ended."""

    closed = False

    def __init__(self, parts: Parts):
        self.gap: Gap | None = None
        self.short = False
        self._parts, self._rest = parts, b""

    def read(self, size: int = -1) -> bytes:
        taken, missing = [], size
        while missing and (self._rest or self._advance()):
            some = self._rest[:missing] if missing > 0 else self._rest
            self._rest = self._rest[len(some) :]
            taken.append(some)
            missing -= len(some) if missing > 0 else 0
        self.short = missing > 0
        return b"".join(taken)

    def unread(self, some: bytes) -> None:
        """Put bytes back that were read last."""
        self._rest = some + self._rest

    def close(self) -> None:
        """Leave the parts to whoever made them."""

    def _advance(self) -> bool:
        part = None if self.gap else next(self._parts, None)
        if isinstance(part, Gap):
            self.gap = part
            return False
        self._rest = part or b""
        return part is not None and (bool(part) or self._advance())


def _unpacked(parts: Parts, ending: str | None, layers: int) -> Parts:
    """Unpack as often as the first bytes tell."""
    head, parts = _looked_at(parts)
    how = told_by(head, ending)
    if how is None or not layers:
        return parts
    if how == ".lz4":
        fresh = _lz4(parts)
    elif how in BEGINS and not how.startswith("."):
        fresh = _transcoded(parts, how)
    else:
        fresh = _frames(parts, _codec(how))
    return _unpacked(_joined(fresh), None, layers - 1)


def _looked_at(parts: Parts) -> tuple[bytes, Parts]:
    """Give the first bytes, and all parts."""
    first, head = [], b""
    for part in parts:
        first.append(part)
        if isinstance(part, Gap):
            break
        head += part[:HEAD]
        if len(head) >= HEAD:
            break
    return head, chain(first, parts)


def _codec(how: str) -> Codec:
    magic = BEGINS[how]
    if how == ".gz":
        return Codec(lambda packed: zlib.decompressobj(wbits=31), magic, (zlib.error,))
    if how == ".bz2":
        return Codec(lambda packed: bz2.BZ2Decompressor(), magic, (OSError, ValueError))
    if how == ".xz":
        import lzma  # which some builds of Python lack

        return Codec(lambda packed: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=2**31), magic, (lzma.LZMAError,))
    from operators.storage.zstd import FRAME, ZstdError, ZstdFrames

    return Codec(ZstdFrames(), FRAME, (ZstdError,))


def _frames(parts: Parts, codec: Codec) -> Parts:
    """Unpack frames one after another; after a broken one, or bytes that lack, go on where the next begins."""
    frame, lost, given, rest = None, False, 0, b""
    for step in chain(_steps(parts), [b""]):
        if isinstance(step, Gap):
            yield step._replace(inside=frame is not None and given > 0)
            frame, lost, rest = None, True, b""
            continue
        packed, rest = rest + step, b""
        while packed:
            fresh = frame is None
            if fresh:
                packed, rest = _frame_begin(packed, lost, codec, last=not step)
                if not packed:
                    break
                frame, given = codec.unpacker(packed), 0
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


def _frame_begin(packed: bytes, lost: bool, codec: Codec, last: bool) -> tuple[bytes, bytes]:
    """Return what begins with the next frame, and what can only be told with more behind it: one of them is empty.

    After damage (`lost`) the frame has to be looked for; else nothing but padding, of tapes or of xz, stands before it.
    """
    if lost:
        found = codec.magic.search(packed)
        if found is None:
            return b"", packed[1 - FRAME_HEAD :]
        packed = packed[found.start() :]
    else:
        packed = packed.lstrip(b"\0")
    return (b"", packed) if len(packed) < FRAME_HEAD and not last else (packed, b"")


def _salvaged(frame: Any, packed: bytes, codec: Codec) -> bytes:
    """Unpack up to the very byte that is broken, because the head of a record may be among the last ones."""
    parts = []
    with suppress(*codec.errors):
        parts.extend(frame.decompress(packed[at : at + 1]) for at in range(len(packed)))
    return b"".join(parts)


def _steps(parts: Parts) -> Parts:
    for part in parts:
        if isinstance(part, Gap):
            yield part
        else:
            yield from (part[begin : begin + STEP] for begin in range(0, len(part), STEP))


def _lz4(parts: Parts) -> Parts:
    stream = Stream(parts)
    watched = Watched(stream)
    unpacking = pa.CompressedInputStream(pa.PythonFile(watched, "r"), "lz4")
    wrong = None
    try:
        yield from iter(lambda: unpacking.read(STEP), b"")
    except (OSError, pa.ArrowException) as error:
        watched.raise_failure()
        wrong = Gap(str(error))
    if gap := stream.gap or wrong:
        yield gap


def _transcoded(parts: Parts, encoding: str) -> Parts:
    """Turn text into UTF-8; a half of a surrogate pair stays one, for the record that it is in to be told."""
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    try:
        for part in chain(parts, [None]):
            if isinstance(part, Gap):
                yield part
                return
            yield decoder.decode(part or b"", final=part is None).encode(errors="surrogatepass")
    except UnicodeDecodeError as error:
        yield Gap(f"it is no {encoding.upper()}: {error.reason}")


def _joined(parts: Parts) -> Parts:
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
