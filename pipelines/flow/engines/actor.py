"""Async operators beside their engines: a pool of Ray actors, each with one engine and many orders in flight."""

import asyncio
import faulthandler
import gc
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any, TypeVar

import pyarrow as pa
import ray
from ray.exceptions import RayError

from operators.models.chains import Chains
from operators.models.engines.base import Engine, EngineFailure
from pipelines.flow.board.reporter import Reporter
from pipelines.flow.board.tracker import Cursor
from pipelines.flow.engines.admission import Gate, Uncommitted
from pipelines.flow.engines.chained import Chained
from pipelines.flow.engines.counting import CountedEngine
from pipelines.flow.engines.guarding import GuardedEngine
from pipelines.flow.engines.judging import JudgedEngine
from pipelines.flow.faults.config import CommitConfig
from pipelines.flow.faults.isolation import STDERR
from pipelines.flow.orders.order import Order, cut, from_block, order_key

log = logging.getLogger(__name__)
Result = TypeVar("Result")
REPORT_EVERY_S = 1.0
LEARN_EVERY_S = 0.05  # at the most: an engine that is held back loses what it waits
SUSPECT = 2  # deaths under an order, after which it runs alone
DEATHS_AT_START = 3  # of engines, before any stood
DEATHS_IN_A_ROW = 8  # of an engine, without one answer between them
GRACE_S = 10.0  # for the event loop to end a stuck engine with a clear word, before it is ended without one
GARBAGE_EVERY = 20_000  # objects made and not yet freed


class BesideEngine:
    """One actor of the pool: builds an engine, hands it to an operator and runs every order through it.

    A slow request delays only its own order: the other orders in the actor keep the engine's seats filled. An order under
    which the actor's process died SUSPECT times runs alone, and finds out which of its requests is to blame.

    Where rows are `chained`, an order is worked on in stretches of commit.calls_per_order calls, one after the other, and each
    goes on its way to be committed when it is finished: so a chain may be longer than what may be lost. When the process dies,
    Ray has the order done again from its start, and drops what of it was taken already: what is committed is asked no more.
    """

    def __init__(
        self,
        stage: str,
        operator: Callable[[Engine], Chains],
        build: Callable[[], Engine],
        patience_s: float,
        commit: CommitConfig,
        report: Reporter,
        chained: Chained | None = None,
    ):
        self.guarded, self.patience_s, self.report = GuardedEngine(build(), report), patience_s, report
        self.engine = CountedEngine(JudgedEngine(self.guarded, stage, report))
        self.operator, self.stage, self.chained = operator(self.engine), stage, chained
        self.actor = ray.get_runtime_context().get_actor_id()  # Ray keeps it when it starts a dead actor again
        self.name = f"{self.actor}/{uuid.uuid4().hex}"
        self.calls_per_order = commit.calls_per_order
        self.uncommitted, self.gate = Uncommitted(commit.max_uncommitted_requests), Gate()
        self.starting: asyncio.Task | None = None
        self.began = self.last = 0.0
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def __call__(self, block: pa.Table) -> Iterator[pa.Table]:
        """Work in a thread of Ray's, beside those of other orders: of an async generator Ray hands on nothing before its end."""
        with self.report.explaining(self.stage):
            self._await(self._stands())
            for order in from_block(block):
                for finished in self._in_stretches(order) if self.chained else [self._await(self._worked_on(order))]:
                    self.last = time.time()
                    self._report()
                    yield finished.to_block()

    def _await(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def _in_stretches(self, order: Order) -> Iterator[Order]:
        """Work on an order stretch by stretch; each is handed what the one before it passes on."""
        before: Order | None = None
        stretches = list(cut(order, self.calls_per_order, self.operator.calls_per_row))
        settled = self._await(self.report.settled_of([order_key(stretch) for stretch in stretches]))
        for stretch, is_settled in zip(stretches, settled, strict=True):
            if is_settled:  # in an earlier life of this process: nobody takes what is given for it now
                yield stretch.with_rows(stretch.rows.slice(0, 0))
                continue
            if before is not None:
                stretch = stretch.with_rows(self.operator.with_carried(stretch.rows, before.rows))
            elif stretch is not stretches[0]:
                stretch = self.chained.handed(stretch)
            before = self._await(self._worked_on(stretch))
            yield before

    async def _stands(self) -> None:
        """Wait until the engine stands."""
        if self.starting is None:
            self.starting = asyncio.ensure_future(self._start())
        await asyncio.shield(self.starting)

    async def _worked_on(self, order: Order) -> Order:
        key, calls = order_key(order), self.operator.calls(order.rows)
        await self.uncommitted.admit(key, calls)
        note = f"{self.stage}|{key}"
        suspect = await self.report.deaths_at(note) >= SUSPECT
        async with self.gate.alone() if suspect else self.gate.company():
            await self.report.begun(note)
            try:
                with self.guarded.guarding(calls) if suspect else nullcontext():
                    return order.with_rows(await self.operator(order.rows))
            finally:
                self.report.end(note, answered=calls > 0)

    async def _start(self) -> None:
        _check_deaths(*await self.report.engine_starts(self.actor))
        began = time.monotonic()
        await self.engine.start()
        self.report.engine_started()
        self.report.unused_gpu_noted()
        self.patience_s += 2 * (time.monotonic() - began)  # an engine may start a part of it again under a request
        # Thousands of tasks wait here. To look through them for cycles as often as Python does took a sixth of the loop's time.
        gc.freeze()
        gc.set_threshold(GARBAGE_EVERY, 10, 100)
        self.began = self.last = time.time()
        cursor, _ = await self.report.settled_since(None)
        background = (self._report_regularly(), self._learn_regularly(cursor))
        self.background = [asyncio.ensure_future(task) for task in background]

    async def _report_regularly(self) -> None:
        done, moved = 0, time.monotonic()
        while True:
            sums, now = self._report(), time.monotonic()
            if sums["done"] != done or not sums["in_flight"]:
                done, moved = sums["done"], now
            elif now - moved > self.patience_s:
                log.error("the engine has answered nothing for %.0f s; its process is started again", now - moved)
                os._exit(1)
            # Where the event loop itself is held up, only this can end the process.
            faulthandler.dump_traceback_later(self.patience_s + GRACE_S, exit=True, file=STDERR)
            if await self.report.is_over():  # Ray Data has lost sight of this actor
                ray.kill(ray.get_runtime_context().current_actor)
            await asyncio.sleep(REPORT_EVERY_S)

    async def _learn_regularly(self, cursor: Cursor | None) -> None:
        """Hear of commits. Who lost touch forgets what it held back for: to wait for ever would be worse."""
        while True:
            try:
                cursor, keys = await self.report.settled_since(cursor)
            except RayError:
                cursor = keys = None
            self.uncommitted.settle(keys)
            await asyncio.sleep(LEARN_EVERY_S)

    def _report(self) -> dict[str, int]:
        sums = asdict(self.engine.progress)
        seated = min(sums["in_flight"], self.engine.seats)  # the others wait inside the engine for a seat
        self.report.engine(self.name, sums | {"in_flight": seated, "began": self.began, "last": self.last})
        return sums


def _check_deaths(deaths: int, actors: int, any_stood: bool) -> None:
    """Raise EngineFailure where to start engines again leads nowhere."""
    if deaths >= DEATHS_AT_START and not any_stood:
        raise EngineFailure(
            f"the engine's process died {deaths} times while it started, and no engine ever stood. What it printed may say of "
            "what. If memory ran out, take a smaller model or dtype, lower engine.copies, or run fewer CPUs (cluster.cpus)."
        )
    if deaths >= DEATHS_IN_A_ROW * actors:
        raise EngineFailure(
            f"processes of engines died {deaths} times without an answer in between. What they printed may say of what. "
            "If memory ran out, lower the engine's batch or context. What is committed stays; the same command goes on."
        )
