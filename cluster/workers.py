"""The processes that run a pipeline's tasks."""

from collections.abc import Callable
from typing import Any

import ray

from cluster.resources import cpu_share


def task(function: Callable, share: dict[str, float], **options: Any) -> Any:
    """Give a function as a task of Ray that takes a share (see Claims.share) while it runs.

    A process that had a GPU ends with its task. One that went on would keep the memory that CUDA gave it, and stay on that GPU
    whichever it is handed next; Ray sees to that only where the claim stands in the decorator, and never with `.options`.
    """
    return ray.remote(**share, max_calls=1 if share.get("num_gpus") else 0, **options)(function)


def warm(load: Callable[[], None], tasks: int) -> None:
    """Start worker processes for so many tasks at once, and let each load what `load` loads.

    Ray starts a process when a task first needs one, and its imports take a core for more than a second. On a machine with few
    cores they would take it from engines that are at work by then.
    """
    work = ray.remote(lambda: load()).options(num_cpus=cpu_share(tasks))
    ray.get([work.remote() for _ in range(tasks)])
