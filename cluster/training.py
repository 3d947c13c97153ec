"""Workers that do one function together: of Ray Train, or one alone."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import ray
import torch
import torch.distributed as dist
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.torch.config import _TorchBackend

from cluster.claims import Claims
from cluster.workers import task

# Threads that spin while they wait cost a busy machine the most.
ENVIRONMENT = {"env_vars": {"OMP_WAIT_POLICY": "PASSIVE"}}


def run_together(function: Callable[[dict], None], config: dict[str, Any], claims: Claims) -> None:
    """Run a function on each of some workers, which know each other through torch.distributed: NCCL where all of them can use a
    GPU, else gloo.

    When one of them dies all begin again, as often as that happens: what to go on from, and when to give up, is the function's
    affair. One worker alone is a plain task: the start of Ray Train's processes would take longer than many a training.
    """
    claims.require_room()
    each = claims.each()
    if claims.copies > 1:
        _run_with_ray_train(function, config, claims.copies, each)
        return
    share = {"num_cpus": each["CPU"], "num_gpus": each["GPU"]}
    alone = task(_alone, share, max_retries=-1, retry_exceptions=True, runtime_env=ENVIRONMENT)
    ray.get(alone.remote(function, config))


def _alone(function: Callable[[dict], None], config: dict[str, Any]) -> None:
    """Run the function in a process that, without a GPU, others may use after it."""
    try:
        function(config)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _run_with_ray_train(function: Callable[[dict], None], config: dict, workers: int, each: dict[str, float]) -> None:
    scratch = tempfile.mkdtemp(prefix="gristmill-train-")  # Ray's own notes of this run
    scaling = ScalingConfig(num_workers=workers, use_gpu=each["GPU"] > 0, resources_per_worker=each)
    run = RunConfig(
        name="train",
        storage_path=scratch,
        failure_config=FailureConfig(max_failures=-1),
        worker_runtime_env=ENVIRONMENT,
    )
    try:
        _Trainer(
            function, train_loop_config=config, torch_config=_Torch(), scaling_config=scaling, run_config=run
        ).fit()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@dataclass
class _Torch(TorchConfig):
    @property
    def backend_cls(self) -> type[_TorchBackend]:
        return _Backend


class _Backend(_TorchBackend):
    """Ray takes NCCL wherever it hands out GPUs. That is no promise that torch can use them, and NCCL would not begin then."""

    def on_start(self, worker_group, backend_config: TorchConfig) -> None:
        if backend_config.backend == "nccl" and not all(worker_group.execute(_can_use_nccl)):
            backend_config = replace(backend_config, backend="gloo")
        super().on_start(worker_group, backend_config)


def _can_use_nccl() -> bool:
    return torch.cuda.is_available() and dist.is_nccl_available()


class _Trainer(TorchTrainer):
    """Without Ray's watch over placement groups where there is no dashboard to ask: it would only hold up the end by 12 s."""

    def _create_default_callbacks(self) -> list:
        callbacks = super()._create_default_callbacks()
        if ray._private.worker.get_dashboard_url():
            return callbacks
        return [callback for callback in callbacks if type(callback).__name__ != "PlacementGroupCleanerCallback"]
