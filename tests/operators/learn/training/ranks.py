"""Several ranks of torch.distributed on this machine, gloo between them: a function runs in each, its results come back."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing

from operators.learn.training.parallel import World


def in_ranks(size: int, work: Callable, *arguments: Any) -> list[Any]:
    """Run `work(world, *arguments)` in so many ranks; both must be importable. Gives the results in the order of ranks."""
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(_rank, (size, folder, work, arguments), size)
        return [torch.load(Path(folder) / str(rank), weights_only=False) for rank in range(size)]


def _rank(rank: int, size: int, folder: str, work: Callable, arguments: tuple) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=size)
    torch.save(work(World.joined(), *arguments), Path(folder) / str(rank))
    dist.destroy_process_group()
