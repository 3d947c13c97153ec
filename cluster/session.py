"""Connect to a Ray cluster, or start one on this machine."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


def _setting(default, doc: str):
    return field(default=default, metadata={"doc": doc, "identity": False})


@dataclass
class ClusterConfig:
    """Where a pipeline runs."""

    address: str | None = _setting(None, "address of a Ray cluster to join (auto, HOST:PORT); null starts one here")
    cpus: int | None = _setting(None, "logical CPUs of the cluster started here; null: this machine's, at least 2")
    object_store_mb: int | None = _setting(None, "object store of the cluster started here in MiB; null: Ray's default")


class NoCluster(RuntimeError):
    """Ray could not be started, or the cluster could not be joined."""


@contextmanager
def session(config: ClusterConfig, quiet: bool = False) -> Iterator[None]:
    """Hold a connection to Ray. One that is already there is used and left open.

    With `quiet` what Ray's processes print stays in its own logs.
    """
    _settle_environment()
    import ray

    if ray.is_initialized():
        yield
        return
    try:
        _connect(config, quiet)
    except Exception as error:  # Ray raises a bare Exception where its processes take too long
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise NoCluster(
            f"Ray did not start ({reason}). On a busy machine try again, the same command goes on; with cluster.address check "
            "that the cluster is up."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _connect(config: ClusterConfig, quiet: bool) -> None:
    import ray

    if config.address:
        ray.init(address=config.address, log_to_driver=not quiet, logging_level=logging.WARNING)
        return
    ray.init(
        address="local",  # its own, whatever RAY_ADDRESS says or else runs on this machine
        num_cpus=config.cpus or max(2, os.cpu_count() or 2),
        object_store_memory=config.object_store_mb * 2**20 if config.object_store_mb else None,
        include_dashboard=False,
        log_to_driver=not quiet,
        logging_level=logging.WARNING,
    )


def _settle_environment() -> None:
    """Quiet Ray before it is imported; what the user has set stays."""
    quiet = {
        "RAY_DATA_DISABLE_PROGRESS_BARS": "1",  # the pipelines show their own progress
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DATA_LOG_LEVEL": "ERROR",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # keep CUDA_VISIBLE_DEVICES as it is in actors without a GPU
    }
    for name, value in quiet.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)  # that it is on is what we want
