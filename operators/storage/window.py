"""A view of the next bytes of a stream, for looking ahead in files whose own lengths may lie."""

import re
from collections.abc import Iterable, Iterator

from operators.storage.compression import Gap

OVERLAP = 2**14  # bytes kept while searching: no marker is longer


class Window:
    """The bytes ahead of `offset`, up to the next gap or the end of the stream.

    `offset` counts the unpacked bytes before the window, and one for each gap, so that nothing shares a place.
    """

    def __init__(self, blocks: Iterable[bytes | Gap]):
        self.offset = 0
        self.gap: Gap | None = None  # what stopped the window, null at the end of the stream
        self.stopped = False
        self._blocks = iter(blocks)
        self._bytes, self._at = b"", 0

    def fill(self, size: int) -> int:
        """Hold at least `size` bytes where there are as many; return how many are held."""
        held = len(self._bytes) - self._at
        if held >= size or self.stopped:
            return held
        parts = [self._bytes[self._at :]]
        while held < size and not self.stopped:
            block = next(self._blocks, None)
            if isinstance(block, bytes):
                parts.append(block)
                held += len(block)
            else:
                self.gap, self.stopped = block, True
        self._bytes, self._at = b"".join(parts), 0
        return held

    def match(self, pattern: re.Pattern[bytes], ahead: int = 0) -> re.Match[bytes] | None:
        return pattern.match(self._bytes, self._at + ahead)

    def find(self, pattern: re.Pattern[bytes], ahead: int = 0) -> int | None:
        """Return how far ahead a pattern begins in what is held, or null."""
        found = pattern.search(self._bytes, self._at + ahead)
        return found.start() - self._at if found else None

    def finditer(self, pattern: re.Pattern[bytes], ahead: int = 0) -> Iterator[re.Match[bytes]]:
        """Yield where a pattern stands in what is held; `ahead` tells the places of a match."""
        return pattern.finditer(self._bytes, self._at + ahead)

    def ahead(self, index: int) -> int:
        """Return how far ahead a place of a match is."""
        return index - self._at

    def held(self) -> int:
        """Return how many bytes are held."""
        return len(self._bytes) - self._at

    def bytes(self, begin: int, end: int) -> bytes:
        return self._bytes[self._at + begin : self._at + end]

    def skip(self, size: int) -> None:
        self._at += size
        self.offset += size

    def cross(self) -> Gap | None:
        """Leave what is held and go on after the gap. Returns the gap, null at the end of the stream."""
        gap = self.gap
        self.skip(len(self._bytes) - self._at)
        if gap is not None:
            self.gap, self.stopped = None, False
            self.offset += 1
        return gap

    def skip_to(self, marker: re.Pattern[bytes], limit: int | None = None) -> bool:
        """Move to the next marker, `limit` bytes ahead at the most; tell whether there is one before a gap or end."""
        left = limit
        while True:
            held = self.fill(2 * OVERLAP)
            at = self.find(marker)
            if at is not None and (left is None or at < left):
                self.skip(at)
                return True
            step = held if self.stopped else held - OVERLAP
            if left is not None:
                step = min(step, left)
                left -= step
            self.skip(step)
            if left == 0 or self.stopped:
                return False
