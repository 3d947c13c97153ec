"""Ranks of torch.distributed, or one process alone: what they add up, what they tell each other, and sharded parameters.

Shapes: R rows of T tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from operators.models.device import chosen_device

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class World:
    """Who takes part. All ranks must call each method, in the same order."""

    rank: int
    size: int
    device: torch.device

    @classmethod
    def joined(cls) -> "World":
        """Join the process group that there is, on the devices that it is for; or stand alone, on a GPU where there is one."""
        if dist.is_initialized():
            kind = "cuda" if "nccl" in dist.get_backend() else "cpu"
            return cls(dist.get_rank(), dist.get_world_size(), _device(kind))
        device = _device(chosen_device(None))
        if device.type == "cuda":  # sharded parameters, through which bfloat16 goes on a GPU, want a group: of one
            dist.init_process_group("nccl", store=dist.HashStore(), rank=0, world_size=1, device_id=device)
        return cls(0, 1, device)

    def sum(self, values: Sequence[float]) -> list[float]:
        """Add up numbers over all ranks, in float64."""
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        if self.size > 1:
            dist.all_reduce(total)
        return total.tolist()

    def gather(self, values_RT: Tensor, rows: Sequence[int]) -> Tensor:
        """Put the rows of all ranks one below the other, in the order of ranks; `rows` says how many each rank has."""
        if self.size == 1:
            return values_RT
        padded = values_RT.new_zeros((max(rows), *values_RT.shape[1:]))
        padded[: len(values_RT)] = values_RT
        parts = [torch.empty_like(padded) for _ in rows]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, rows, strict=True)])

    def tell(self, item: Any) -> list[Any]:
        """Let every rank know what each has: a small object per rank, in the order of ranks."""
        if self.size == 1:
            return [item]
        items = [None] * self.size
        dist.all_gather_object(items, item)
        return items


def _device(kind: str) -> torch.device:
    return torch.device(kind, torch.cuda.current_device()) if kind == "cuda" else torch.device(kind)


def shard(module: nn.Module, layers: Sequence[nn.Module], world: World, precision: str) -> None:
    """Divide parameters, gradients and moments among the ranks, layer by layer; gradients are sums over the ranks.

    A module of one process on a processor is left as it is. Weights stay float32; products are in `precision`.
    Source: FSDP2 of PyTorch; ZeRO, arXiv:1910.02054, stage 3.
    """
    if not is_sharded(world):
        return
    mesh = init_device_mesh(world.device.type, (world.size,))
    # Inputs are not cast: the weights of a loss are float32 and stay so.
    policy = MixedPrecisionPolicy(DTYPES[precision], torch.float32, cast_forward_inputs=False)
    for layer in layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(module, mesh=mesh, mp_policy=policy)
    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.set_force_sum_reduction_for_comms(True)
            part.set_gradient_divide_factor(1.0)


def is_sharded(world: World) -> bool:
    return world.size > 1 or world.device.type == "cuda"


def free(module: nn.Module) -> None:
    """Give back the whole parameters that a forward without backward leaves behind."""
    if isinstance(module, FSDPModule):
        module.reshard()


def whole(tensor: Tensor) -> Tensor:
    """Give a tensor that is divided among the ranks as a whole, on every rank."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def divided(values: Tensor, like: Tensor) -> Tensor:
    """Divide a whole tensor among the ranks as another one is; every rank brings the whole, nothing is sent."""
    values = values.to(like.device, like.dtype)
    if not isinstance(like, DTensor):
        return values
    return distribute_tensor(values, like.device_mesh, like.placements, src_data_rank=None)
