"""Frames of Zstandard, the dictionary among them that a `.warc.zst` begins with.

Source: RFC 8878; "Use of Zstandard with WARC files", draft of the IIPC: the dictionary is in a frame that is skipped, plain or
packed itself, before all others.
"""

import re
from typing import Any

import zstandard
from zstandard import ZstdError

__all__ = ["FRAME", "ZstdError", "ZstdFrames"]

FRAME = re.compile(rb"\x28\xb5\x2f\xfd")  # how a frame with content begins
DICTIONARY = b"\x5d\x2a\x4d\x18"
SKIPPED_HEAD = 8  # bytes: how it begins, and its length
MAX_WINDOW = 2**31  # bytes, because dumps packed with `zstd --long=31` are common
MAX_DICTIONARY = 2**27  # bytes


class ZstdFrames:
    """Makes what unpacks the next frame of a file, by the bytes that it begins with."""

    def __init__(self):
        self.dictionary: zstandard.ZstdCompressionDict | None = None
        self.first = True

    def __call__(self, packed: bytes) -> Any:
        first, self.first = self.first, False
        if first and packed.startswith(DICTIONARY):
            return _DictionaryFrame(self)
        return zstandard.ZstdDecompressor(self.dictionary, max_window_size=MAX_WINDOW).decompressobj()

    def learn(self, content: bytes) -> None:
        """Take the content of a dictionary frame. Raises ZstdError where it is broken."""
        if FRAME.match(content):
            unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
            content = unpacker.stream_reader(content).read(MAX_DICTIONARY)
        self.dictionary = zstandard.ZstdCompressionDict(content)


class _DictionaryFrame:
    """Keeps what the frame holds for the frames after it; as content of the file it is empty."""

    def __init__(self, frames: ZstdFrames):
        self.frames, self.eof, self.unused_data = frames, False, b""
        self._taken = bytearray()

    def decompress(self, packed: bytes) -> bytes:
        self._taken += packed
        end = SKIPPED_HEAD + int.from_bytes(self._taken[4:SKIPPED_HEAD], "little")
        if end > MAX_DICTIONARY:
            raise ZstdError(f"its dictionary has {end} bytes, {MAX_DICTIONARY} are read at the most")
        if len(self._taken) >= end:
            self.frames.learn(bytes(self._taken[SKIPPED_HEAD:end]))
            self.eof, self.unused_data = True, bytes(self._taken[end:])
        return b""
