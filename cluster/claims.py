"""What work takes of a cluster, said before there is one."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Claims:
    """What some work takes of a cluster while it runs: processes, each with a GPU or without, and each with some CPUs.

    `copies` null: one on each GPU, or on each node. `gpus` null: one each where the cluster has any. `cpus` null: with a GPU 1,
    else all of a node, shared out among the copies on it.
    """

    copies: int | None = 1
    gpus: bool | None = False
    cpus: int | None = 1

    def each(self) -> dict[str, float]:
        """Give what one of the processes takes of the connected cluster."""
        from cluster.resources import nodes, whole_node_cpus

        on_gpus = self._on_gpus()
        cpus = self.cpus or (1 if on_gpus else whole_node_cpus(math.ceil(self._copies() / nodes())))
        return {"CPU": cpus, "GPU": int(on_gpus)}

    def all(self) -> dict[str, float]:
        """Give what all of them take together."""
        return {kind: amount * self._copies() for kind, amount in self.each().items()}

    def _on_gpus(self) -> bool:
        from cluster.resources import gpus

        return gpus() > 0 if self.gpus is None else self.gpus

    def _copies(self) -> int:
        from cluster.resources import gpus, nodes

        return self.copies or (gpus() if self._on_gpus() else nodes())


A_CPU = Claims()  # of work that takes the CPUs that are free, one at the least
A_NODE = Claims(cpus=None)


def a_model_each(copies: int | None, may_use_gpu: bool) -> Claims:
    """Say what copies of a model take; null: one on every GPU, or on every node."""
    return Claims(copies, None if may_use_gpu else False, None)
