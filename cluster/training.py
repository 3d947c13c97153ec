"""Workers of Ray Train that do one function together."""

import math
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

from cluster.resources import gpus, nodes, whole_node_cpus


def run_together(
    function: Callable[[dict], None], config: dict[str, Any], workers: int, on_gpus: bool | None, cpus: int | None
) -> None:
    """Run a function on each of some workers, which know each other through torch.distributed (NCCL on GPUs, gloo on CPUs).

    `on_gpus` null takes a GPU for each where there are any, `cpus` null an even share of a node. When one of them dies all begin
    again, as often as that happens: what to go on from, and when to give up, is the function's affair.
    """
    on_gpus = gpus() > 0 if on_gpus is None else on_gpus
    cpus = cpus or (1 if on_gpus else whole_node_cpus(math.ceil(workers / nodes())))
    scratch = tempfile.mkdtemp(prefix="gristmill-train-")  # Ray's own notes of this run
    scaling = ScalingConfig(
        num_workers=workers, use_gpu=on_gpus, resources_per_worker={"CPU": cpus, "GPU": int(on_gpus)}
    )
    run = RunConfig(name="train", storage_path=scratch, failure_config=FailureConfig(max_failures=-1))
    try:
        _Trainer(function, train_loop_config=config, scaling_config=scaling, run_config=run).fit()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _Trainer(TorchTrainer):
    """Without Ray's watch over placement groups where there is no dashboard to ask: it would only hold up the end by 12 s."""

    def _create_default_callbacks(self) -> list:
        callbacks = super()._create_default_callbacks()
        if ray._private.worker.get_dashboard_url():
            return callbacks
        return [callback for callback in callbacks if type(callback).__name__ != "PlacementGroupCleanerCallback"]
