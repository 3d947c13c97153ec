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
from cluster.session import NoCluster


def run_together(
    function: Callable[[dict], None], config: dict[str, Any], workers: int, on_gpus: bool | None, cpus: int | None
) -> None:
    """Run a function on each of some workers, which know each other through torch.distributed (NCCL on GPUs, gloo on CPUs).

    `on_gpus` null takes a GPU for each where there are any, `cpus` null an even share of a node. When one of them dies all begin
    again, as often as that happens: what to go on from, and when to give up, is the function's affair.
    """
    on_gpus = gpus() > 0 if on_gpus is None else on_gpus
    cpus = cpus or (1 if on_gpus else whole_node_cpus(math.ceil(workers / nodes())))
    _require_room(workers, on_gpus, cpus)
    scratch = tempfile.mkdtemp(prefix="gristmill-train-")  # Ray's own notes of this run
    scaling = ScalingConfig(
        num_workers=workers, use_gpu=on_gpus, resources_per_worker={"CPU": cpus, "GPU": int(on_gpus)}
    )
    environment = {
        "env_vars": {"OMP_WAIT_POLICY": "PASSIVE"}
    }  # threads that spin while they wait cost a busy machine the most
    run = RunConfig(
        name="train",
        storage_path=scratch,
        failure_config=FailureConfig(max_failures=-1),
        worker_runtime_env=environment,
    )
    try:
        _Trainer(function, train_loop_config=config, scaling_config=scaling, run_config=run).fit()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _require_room(workers: int, on_gpus: bool, cpus: int) -> None:
    """Raise NoCluster where the cluster is too small for the workers: Ray would wait for it to grow, without a word."""
    there = ray.cluster_resources()
    for kind, each in (("GPU", int(on_gpus)), ("CPU", cpus)):
        if workers * each > there.get(kind, 0):
            raise NoCluster(
                f"workers.count={workers} with {each} {kind}s each want {workers * each} {kind}s, and the cluster has "
                f"{there.get(kind, 0):g}. Lower workers.count or workers.{kind.lower()}s, or join a larger cluster."
            )


class _Trainer(TorchTrainer):
    """Without Ray's watch over placement groups where there is no dashboard to ask: it would only hold up the end by 12 s."""

    def _create_default_callbacks(self) -> list:
        callbacks = super()._create_default_callbacks()
        if ray._private.worker.get_dashboard_url():
            return callbacks
        return [callback for callback in callbacks if type(callback).__name__ != "PlacementGroupCleanerCallback"]
