"""A Ray that hands out two GPUs where there are none, in a process of its own: what asks it for GPUs is shown on any machine.

Behind these GPUs there is no CUDA, so models work on the processor.
"""

import io
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from typing import Any

GPUS = 2
ENVIRONMENT = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # as cluster.session sets it
    "RAY_DATA_LOG_LEVEL": "ERROR",
    "RAY_num_workers_soft_limit": "6",  # idle workers that Ray keeps: most of a test's time is what a new one imports
    "RAY_idle_worker_killing_time_threshold_ms": "600000",
}


@dataclass(frozen=True)
class Seen:
    """What a function gave, the GPUs that each class of actors and each task of the driver claimed meanwhile, and what was
    printed on stderr.
    """

    result: Any
    claims: dict[str, float]
    told: str


class RayWithGpus:
    """Runs functions that can be imported in the process that is connected to it."""

    def __init__(self, executor: ProcessPoolExecutor):
        self.executor = executor

    def run(self, function: Callable, *args: Any) -> Seen:
        return self.executor.submit(_seen, function, args).result()


@contextmanager
def ray_with_gpus() -> Iterator[RayWithGpus]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_connect) as executor:
        try:
            yield RayWithGpus(executor)
        finally:
            executor.submit(_disconnect).result()


def _connect() -> None:
    os.environ.update(ENVIRONMENT)
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=GPUS,
        object_store_memory=150 * 2**20,
        include_dashboard=False,
        logging_level="WARNING",
    )


def _disconnect() -> None:
    import ray

    ray.shutdown()


def _seen(function: Callable, args: tuple) -> Seen:
    from cluster import workers

    before, told, tasks, task = {actor.actor_id for actor in _actors()}, io.StringIO(), {}, workers.task

    def noted(work: Callable, share: dict[str, float], **options: Any) -> Any:
        tasks[work.__name__] = share.get("num_gpus", 0)
        return task(work, share, **options)

    workers.task = noted
    try:
        with redirect_stderr(told):
            result = function(*args)
    finally:
        workers.task = task
    new = [actor for actor in _actors() if actor.actor_id not in before]
    claims = tasks | {actor.class_name: _gpus(actor.required_resources) for actor in new}
    return Seen(result, claims, told.getvalue())


def _gpus(resources: dict[str, float]) -> float:
    """Read what is claimed, of the cluster or of a placement group (GPU_group_ID)."""
    return max((amount for name, amount in resources.items() if name.startswith("GPU")), default=0.0)


def _actors() -> list:
    """Give all actors that there were. Ray's public list of them wants its dashboard."""
    from ray._private.state import state
    from ray.core.generated.gcs_pb2 import ActorTableData

    table = state._connect_and_get_accessor().get_actor_table(None, None)
    return [ActorTableData.FromString(actor) for actor in table]
