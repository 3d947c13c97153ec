"""Which work an engine's actor lets in, and when: not too much that is uncommitted, and what may kill it alone."""

import asyncio
import math
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager

from operators.models.engines.base import Completion, Engine, Request
from pipelines.flow.board.reporter import Reporter

FATAL_DEATHS = 3  # of the engine's process, with the same request under way: once in company and twice alone


class Uncommitted:
    """Lets an order in while the requests of all that were let in and are not committed yet stay within a bound.

    First come, first served. An order above the bound is let in when nothing else is out.
    """

    def __init__(self, most: int):
        self.most, self.held = most, {}
        self.door, self.freed = asyncio.Lock(), asyncio.Event()

    async def admit(self, key: str, requests: int) -> None:
        async with self.door:
            while self._others(key) and self._others(key) + requests > self.most:
                self.freed.clear()
                await self.freed.wait()
            self.held[key] = requests

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


class GuardedEngine:
    """An engine that can be told to beware: it then notes each request at the scoreboard while it is under way.

    Few are under way at once then; a request of which a process died is alone, and after FATAL_DEATHS it is given up. At all
    other times it is the engine that it holds.
    """

    def __init__(self, engine: Engine, report: Reporter):
        self.engine, self.report, self.gate = engine, report, Gate()
        self.places: asyncio.Semaphore | None = None

    @property
    def model(self) -> str:
        return self.engine.model

    @property
    def seats(self) -> int:
        return self.engine.seats

    async def start(self) -> None:
        await self.engine.start()

    async def stop(self) -> None:
        await self.engine.stop()

    @contextmanager
    def guarding(self, requests: int) -> Iterator[None]:
        """Beware of so many requests: groups of their root's size find the one to blame with the fewest deaths."""
        self.places = asyncio.Semaphore(max(1, math.isqrt(requests)))
        try:
            yield
        finally:
            self.places = None

    async def complete(self, request: Request) -> Completion:
        if self.places is None:
            return await self.engine.complete(request)
        note = f"request|{request.key}"
        deaths = await self.report.deaths_at(note)
        if deaths >= FATAL_DEATHS:
            self.report.answered()  # else the deaths of a few such requests in a row would pass for the engine's own
            return Completion(None, error="engine_died", detail=f"{deaths} engines died with this request under way")
        async with self.places, self.gate.alone() if deaths else self.gate.company():
            await self.report.begun(note)
            try:
                return await self.engine.complete(request)
            finally:
                self.report.end(note, answered=True)
