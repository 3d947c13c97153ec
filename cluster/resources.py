"""What the connected cluster has to give."""

import ray


def cpu_share(stages: int) -> float:
    """Give the CPUs that one task or actor of each of `stages` concurrent stages may claim: 1, or less on a small cluster.

    If every stage claimed a whole CPU on a machine with fewer CPUs than stages, the first actors would hold them all
    and the reader would wait for ever.
    """
    return min(1.0, cpus() / stages)


def cpus() -> float:
    """Count the CPUs of the cluster."""
    return ray.cluster_resources().get("CPU", 1.0)


def gpus() -> int:
    """Count the GPUs of the cluster."""
    return int(ray.cluster_resources().get("GPU", 0))
