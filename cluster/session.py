"""Connect to a Ray cluster, or start one on this machine."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from cluster import log
from cluster.errors import NoCluster, in_a_line
from cluster.joining import prepare_to_join


def _setting(default, doc: str):
    return field(default=default, metadata={"doc": doc, "identity": False})


@dataclass
class ClusterConfig:
    """Where a pipeline runs."""

    address: str | None = _setting(None, "address of a Ray cluster to join (auto, HOST:PORT); null starts one here")
    cpus: int | None = _setting(None, "logical CPUs of the cluster started here; null: this machine's, at least 2")
    object_store_mb: int | None = _setting(None, "object store of the cluster started here in MiB; null: Ray's default")


@contextmanager
def session(config: ClusterConfig) -> Iterator[None]:
    """Hold a connection to Ray. One that is already there is used and left open.

    What Ray's processes print goes into the log where one is kept, and else stays in Ray's own. Raises NoCluster.
    """
    _settle_environment()
    import ray

    if ray.is_initialized():
        yield
        return
    try:
        _connect(config)
    except NoCluster:
        raise
    except Exception as error:  # Ray raises a bare Exception where its processes take too long
        if config.address:
            raise NoCluster(f"cluster.address={config.address} cannot be joined ({in_a_line(error)})") from error
        raise NoCluster(
            f"Ray did not start ({in_a_line(error)}). On a busy machine try again, the same command goes on."
        ) from error
    if log.begun():
        log.take_lines_of_workers()
    try:
        yield
    finally:
        ray.shutdown()


def _connect(config: ClusterConfig) -> None:
    import ray

    told = {"log_to_driver": log.begun(), "logging_level": logging.WARNING}
    if config.address:
        if config.address != "auto" and "://" not in config.address:
            prepare_to_join(config.address)
        ray.init(address=config.address, **told)
        return
    ray.init(
        address="local",  # its own, whatever RAY_ADDRESS says or else runs on this machine
        num_cpus=config.cpus or max(2, os.cpu_count() or 2),
        object_store_memory=config.object_store_mb * 2**20 if config.object_store_mb else None,
        include_dashboard=False,
        **told,
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
