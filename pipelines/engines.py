"""Async operators beside their engines: a pool of Ray actors, each with one engine and many orders in flight."""

import asyncio
import gc
import math
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import Any

import pyarrow as pa
from ray.data import ActorPoolStrategy, Dataset

from cluster.resources import cpus, gpus
from operators.engines import EngineConfig, build_engine
from operators.engines.base import Engine
from operators.engines.vllm_settings import ranks
from pipelines.counts import add_counts
from pipelines.order import from_block
from pipelines.progress import Report

REPORT_EVERY_S = 1.0
GARBAGE_EVERY = 20_000  # objects made and not yet freed
ORDERS_IN_FLIGHT = (
    48  # calls an engine's actor holds at once: some wait for their slowest request, the others fill the seats
)


class BesideEngine:
    """One actor of the pool: builds an engine, hands it to an operator and runs every order through it.

    A slow request delays only its own order: the other orders in the actor keep the engine's seats filled.
    """

    def __init__(self, operator: Callable[[Engine], Any], engine: EngineConfig, report: Report):
        self.engine = build_engine(engine)
        self.operator, self.report = operator(self.engine), report
        self.name = uuid.uuid4().hex
        self.starting: asyncio.Task | None = None
        self.began = self.last = 0.0

    async def __call__(self, block: pa.Table) -> AsyncIterator[pa.Table]:
        with self.report.explaining():
            if self.starting is None:
                self.starting = asyncio.ensure_future(self._start())
            await asyncio.shield(self.starting)
            for order in from_block(block):
                rows = await self.operator(order.rows)
                self.last = time.time()
                self._report()
                yield order.with_rows(rows).to_block()

    async def _start(self) -> None:
        await self.engine.start()
        # Thousands of tasks wait here. To look through them for cycles as often as Python does took a sixth of the loop's time.
        gc.freeze()
        gc.set_threshold(GARBAGE_EVERY, 10, 100)
        self.began = self.last = time.time()
        self.reporting = asyncio.ensure_future(self._report_regularly())

    async def _report_regularly(self) -> None:
        while True:
            self._report()
            await asyncio.sleep(REPORT_EVERY_S)

    def _report(self) -> None:
        sums = add_counts(*(asdict(progress) for progress in self.operator.progress().values()))
        seated = min(sums["in_flight"], self.engine.seats)  # the others wait inside the engine for a seat
        self.report.engine(self.name, sums | {"in_flight": seated, "began": self.began, "last": self.last})


def on_engines(
    orders: Dataset, operator: Callable[[Engine], Any], engine: EngineConfig, share: float, report: Report
) -> Dataset:
    """Run an async operator, given as a function from its engine to it, over orders on a pool of engines."""
    return orders.map_batches(
        BesideEngine,
        fn_constructor_args=(operator, engine, report),
        batch_size=None,
        batch_format="pyarrow",
        zero_copy_batch=True,
        num_cpus=_cpus_per_copy(engine, share),
        num_gpus=_gpus_per_copy(engine) if gpus() else 0,
        compute=ActorPoolStrategy(
            **_size(engine),
            max_concurrent_calls_per_actor=ORDERS_IN_FLIGHT,
            max_tasks_in_flight_per_actor=math.ceil(1.75 * ORDERS_IN_FLIGHT),  # below it, Ray's pool never grows
        ),
    )


def _size(engine: EngineConfig) -> dict[str, int]:
    if engine.max_copies:
        return {"min_size": engine.copies, "max_size": engine.max_copies}
    return {"size": engine.copies}


def _cpus_per_copy(engine: EngineConfig, share: float) -> float:
    """Give the CPUs that an engine claims; Ray bounds the threads of a model on the CPU by them.

    All copies together claim half of the cluster at the most, or nothing would be left to read with; one that mostly waits,
    for a GPU or an endpoint, half a share. It must not be a whole one: a stage that asks for as much as the one before is
    fused with it, and the reader would run inside the engine's process.
    """
    half_of_all = cpus() / 2 / (engine.max_copies or engine.copies)
    claim = min(share / 2, half_of_all) if engine.openai or gpus() else half_of_all
    return claim if claim != share else 0.99 * claim


def _gpus_per_copy(engine: EngineConfig) -> int:
    if engine.vllm:
        return ranks(engine.vllm)
    return 1 if engine.transformers else 0
