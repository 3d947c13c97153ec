"""An engine of which no request is answered is found out before it has spent the corpus."""

import asyncio

from operators.errors import BadRequest
from operators.models.engines.base import Completion, Engine, EngineFailure, Request, unforeseen
from pipelines.exits import Blamed
from pipelines.flow.board.reporter import Reporter
from pipelines.flow.board.verdicts import Fate
from pipelines.flow.engines.wrapped import WrappedEngine

CHECKED = ("bad_request", "error")  # of which an engine knows what the user should check


class JudgedEngine(WrappedEngine):
    """An engine that tells the scoreboard what becomes of a stage's requests of each kind, until one of them is answered.

    Raises Blamed where all engines together have answered none of so many that no request can be to blame.
    """

    def __init__(self, engine: Engine, stage: str, report: Reporter):
        super().__init__(engine)
        self.stage, self.report = stage, report
        self.answered: set[str] = set()
        self.blamed: Blamed | None = None
        self.stopped: asyncio.Future | None = None

    async def complete(self, request: Request) -> Completion:
        if self.blamed:
            raise self.blamed
        if request.kind in self.answered:
            return await self.engine.complete(request)
        try:
            completion = await self._unless_stopped(request)
        except (EngineFailure, BadRequest):
            raise
        except Exception as error:
            await self._judge(request, unforeseen(error))
            raise
        await self._judge(request, completion)
        return completion

    async def _unless_stopped(self, request: Request) -> Completion:
        """Complete a request; what waits for a seat when the engine is blamed is sent no more."""
        self.stopped = self.stopped or asyncio.get_running_loop().create_future()
        work = asyncio.ensure_future(self.engine.complete(request))
        try:
            await asyncio.wait({work, self.stopped}, return_when=asyncio.FIRST_COMPLETED)
            if self.blamed:
                raise self.blamed
            return await work
        finally:
            work.cancel()

    async def _judge(self, request: Request, completion: Completion) -> None:
        if request.kind in self.answered:  # by now
            return
        if completion.error is None:
            self.answered.add(request.kind)
            await self.report.was_answered(request.kind)
            return
        advice = f". {self.engine.advice}" if completion.error in CHECKED else ""
        fate = Fate(f"{self.stage}/{completion.error}", f"{completion.detail}{advice}")
        if verdict := await self.report.was_lost(request.kind, fate):
            self.blamed = self.blamed or Blamed(*verdict)  # the first word counts
            if not self.stopped.done():
                self.stopped.set_result(None)
            raise self.blamed
