"""The processes that run a pipeline's tasks."""

from collections.abc import Callable

import ray

from cluster.resources import cpu_share


def warm(load: Callable[[], None], tasks: int) -> None:
    """Start worker processes for so many tasks at once, and let each load what `load` loads.

    Ray starts a process when a task first needs one, and its imports take a core for more than a second. On a machine with few
    cores they would take it from engines that are at work by then.
    """
    task = ray.remote(lambda: load()).options(num_cpus=cpu_share(tasks))
    ray.get([task.remote() for _ in range(tasks)])
