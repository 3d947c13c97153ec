"""A request of which the engine's process died is found, and given up."""

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager

from operators.models.engines.base import Completion, Engine, Request
from pipelines.flow.board.reporter import Reporter
from pipelines.flow.engines.admission import Gate
from pipelines.flow.engines.wrapped import WrappedEngine

FATAL_DEATHS = 3  # of the engine's process, with the same request under way: once in company and twice alone


class GuardedEngine(WrappedEngine):
    """An engine that can be told to beware: it then notes each request at the scoreboard while it is under way.

    Few are under way at once then; a request of which a process died is alone, and after FATAL_DEATHS it is given up. At all
    other times it is the engine that it holds.
    """

    def __init__(self, engine: Engine, report: Reporter):
        super().__init__(engine)
        self.report, self.gate = report, Gate()
        self.places: asyncio.Semaphore | None = None

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
