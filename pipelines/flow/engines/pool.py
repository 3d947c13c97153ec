"""A pool of engines: how many actors, and what each of them claims."""

import logging
import math
from collections.abc import Callable
from functools import partial

from ray.data import ActorPoolStrategy, Dataset

from cluster.resources import cpus, gpus, require_gpus_on_one_node
from operators.models.device import may_use_gpu
from operators.models.engines import EngineConfig, build_engine
from operators.models.engines.base import Engine
from operators.models.engines.openai.engine import LONGEST_PAUSE_S, TIMEOUT_TRIES
from operators.models.engines.vllm.arguments import ranks
from pipelines.flow.board.reporter import Reporter
from pipelines.flow.engines.actor import BesideEngine
from pipelines.flow.engines.asking import Asking

log = logging.getLogger(__name__)
# Calls an engine's actor holds at once: some wait for their slowest request, the others fill the seats.
ORDERS_IN_FLIGHT = 48


def on_engines(
    orders: Dataset,
    asking: Asking,
    share: float,
    report: Reporter,
    build: Callable[[EngineConfig], Engine] = build_engine,
) -> Dataset:
    """Ask about the rows of orders on a pool of engines."""
    engine, commit = asking.engine, asking.commit
    gpus_each = _claimed_gpus(engine)
    patience_s = _patience(engine, asking.faults.deadline_s)
    return orders.map_batches(
        BesideEngine,
        fn_constructor_args=(
            *(asking.stage, asking.operator, partial(build, engine)),
            *(patience_s, commit, report, asking.chained),
        ),
        batch_size=1,  # an order: null would be the same, and Ray refuses it beside num_gpus
        batch_format="pyarrow",
        zero_copy_batch=True,
        num_cpus=_cpus_per_copy(engine, share, gpus_each > 0),
        num_gpus=gpus_each,
        compute=ActorPoolStrategy(
            **_size(engine),
            max_concurrent_calls_per_actor=ORDERS_IN_FLIGHT,
            max_tasks_in_flight_per_actor=math.ceil(1.75 * ORDERS_IN_FLIGHT),  # below it, Ray's pool never grows
            enable_true_multi_threading=True,  # they wait for one event loop
        ),
    )


def _patience(engine: EngineConfig, deadline_s: float) -> float:
    """Give the seconds without one answer after which an engine is stuck: more than an endpoint's own limits let pass."""
    if not engine.openai:
        return deadline_s
    attempts = engine.openai.max_retries + TIMEOUT_TRIES
    return max(deadline_s, attempts * (engine.openai.timeout_s + LONGEST_PAUSE_S))


def _size(engine: EngineConfig) -> dict[str, int]:
    if engine.max_copies:
        return {"min_size": engine.copies, "max_size": engine.max_copies}
    return {"size": engine.copies}


def _cpus_per_copy(engine: EngineConfig, share: float, on_gpus: bool) -> float:
    """Give the CPUs that an engine claims; Ray bounds the threads of a model on the CPU by them.

    All copies together claim half of the cluster at the most, or nothing would be left to read with; one that mostly waits,
    for a GPU or an endpoint, half a share. It must not be a whole one: a stage that asks for as much as the one before is
    fused with it, and the reader would run inside the engine's process.
    """
    half_of_all = cpus() / 2 / (engine.max_copies or engine.copies)
    claim = min(share / 2, half_of_all) if engine.openai or on_gpus else half_of_all
    return claim if claim != share else 0.99 * claim


def _claimed_gpus(engine: EngineConfig) -> int:
    """Give the GPUs that each engine claims: none in a cluster without. Raises NoCluster where they never come together."""
    there, each = gpus(), _gpus_per_copy(engine)
    if not there or not each:
        return 0
    require_gpus_on_one_node(
        each, "an engine", "Lower engine.vllm.tensor_parallel_size, or join a cluster with larger machines."
    )
    if engine.copies * each > there:
        log.warning(
            "engine.copies=%d with %d GPUs each want %d GPUs, and the cluster has %d: some engines will not start",
            *(engine.copies, each, engine.copies * each, there),
        )
    return each


def _gpus_per_copy(engine: EngineConfig) -> int:
    """Give the GPUs that an engine spreads over where there are any."""
    if engine.vllm:
        return ranks(engine.vllm)
    return 1 if engine.transformers and may_use_gpu(engine.transformers.device) else 0
