"""What work takes of a cluster, said before there is one."""

import math
from dataclasses import dataclass

from cluster.errors import NoCluster


@dataclass(frozen=True)
class Claims:
    """What some work takes of a cluster while it runs: processes, each with a GPU or without, and each with some CPUs.

    `copies` null: one on each GPU, or on each node; never more than `most`, where that is known. `gpus` null: one each where the
    cluster has any. `cpus` null: with a GPU 1, else all of a node, shared out among the copies on it. `together`: they begin all
    at once, and not without each other.
    """

    copies: int | None = 1
    gpus: bool | None = False
    cpus: int | None = 1
    most: int | None = None
    together: bool = False

    def each(self) -> dict[str, float]:
        """Give what one of the processes takes of the connected cluster."""
        from cluster.resources import nodes, whole_node_cpus

        on_gpus = self._on_gpus()
        cpus = self.cpus or (1 if on_gpus else whole_node_cpus(math.ceil(self.count() / nodes())))
        return {"CPU": cpus, "GPU": int(on_gpus)}

    def all(self) -> dict[str, float]:
        """Give what all of them take together."""
        return {kind: amount * self.count() for kind, amount in self.each().items()}

    def share(self) -> dict[str, float]:
        """Give what one of them asks Ray for: a GPU, or CPUs."""
        each = self.each()
        return {"num_gpus": each["GPU"]} if each["GPU"] else {"num_cpus": each["CPU"]}

    def count(self) -> int:
        """Give the number of processes."""
        from cluster.resources import gpus, nodes

        copies = self.copies or (gpus() if self._on_gpus() else nodes())
        return min(copies, self.most or copies)

    def lacks(self) -> str | None:
        """Say what the connected cluster has too little of for processes that begin together; None where it has enough."""
        from cluster.resources import room

        there, each = room(), self.each()
        for kind, advice in ADVICE.items():
            if self.together and (all_of_it := self.count() * each[kind]) > there[kind]:
                return (
                    f"workers.count={self.count()} with {each[kind]} {kind}s each want {all_of_it} {kind}s, and the cluster has "
                    f"{there[kind]:g}. {advice}, or join a larger cluster."
                )
        return None

    def require_room(self) -> None:
        """Raise NoCluster where the cluster is too small: Ray would wait for it to grow, without a word."""
        if lacks := self.lacks():
            raise NoCluster(lacks)

    def _on_gpus(self) -> bool:
        from cluster.resources import gpus

        return gpus() > 0 if self.gpus is None else self.gpus


ADVICE = {
    "GPU": "Lower workers.count, or train on processors with workers.gpus=false",
    "CPU": "Lower workers.count or workers.cpus",
}
A_CPU = Claims()  # of work that takes the CPUs that are free, one at the least
A_NODE = Claims(cpus=None)


def a_model_each(copies: int | None, may_use_gpu: bool, most: int | None = None) -> Claims:
    """Say what copies of a model take; null: one on every GPU, or on every node."""
    return Claims(copies, None if may_use_gpu else False, None, most)
