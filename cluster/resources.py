"""What the connected cluster has to give."""

import ray

from cluster.errors import NoCluster


def room() -> dict[str, float]:
    """Give what the connected cluster has."""
    return {"CPU": cpus(), "GPU": gpus()}


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


def require_gpus_on_one_node(wanted: int, of_what: str, advice: str) -> None:
    """Raise NoCluster where no node has so many GPUs: Ray would wait for one that has, without a word."""
    most = int(max(_by_node("GPU"), default=0))
    if wanted > most:
        raise NoCluster(
            f"{of_what} wants {wanted} GPUs on one machine, and no machine of the cluster has more than {most}. {advice}"
        )


def nodes() -> int:
    """Count the nodes of the cluster that have CPUs."""
    return len(_cpus_by_node())


def whole_node_cpus(copies: int) -> int:
    """Give the CPUs that each of some copies on a node may claim, on the smallest node: all of them, shared out."""
    return max(1, int(min(_cpus_by_node()) // copies))


def _cpus_by_node() -> list[float]:
    return [cpus for cpus in _by_node("CPU") if cpus >= 1] or [1.0]


def _by_node(kind: str) -> list[float]:
    return [node["Resources"].get(kind, 0.0) for node in ray.nodes() if node["Alive"]]
