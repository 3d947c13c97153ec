"""Which work an engine's actor lets in, and when: not too much that is uncommitted, and what may kill it alone."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager


class Uncommitted:
    """Lets an order in while the calls of all that were let in and are not committed yet stay within a bound.

    First come, first served. An order above the bound is let in when nothing else is out.
    """

    def __init__(self, most: int):
        self.most, self.held = most, {}
        self.door, self.freed = asyncio.Lock(), asyncio.Event()

    async def admit(self, key: str, calls: int) -> None:
        async with self.door:
            while self._others(key) and self._others(key) + calls > self.most:
                self.freed.clear()
                await self.freed.wait()
            self.held[key] = calls

    def _others(self, key: str) -> int:
        return sum(self.held.values()) - self.held.get(key, 0)

    def settle(self, keys: Iterable[str] | None) -> None:
        """Forget the orders that are committed; all where it is not known which (null)."""
        for key in list(self.held) if keys is None else keys:
            self.held.pop(key, None)
        self.freed.set()


class Gate:
    """Lets many in side by side, or one alone, who waits until all have left while nobody new comes in."""

    def __init__(self):
        self.inside, self.door, self.left = 0, asyncio.Lock(), asyncio.Event()

    @asynccontextmanager
    async def company(self) -> AsyncIterator[None]:
        async with self.door:
            self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1
            self.left.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        async with self.door:
            while self.inside:
                self.left.clear()
                await self.left.wait()
            yield
