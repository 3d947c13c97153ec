"""AdamW, and the clip of the whole gradient."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from operators.learn.training.config import OptimizerConfig
from operators.learn.training.parallel import whole


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """Give AdamW (arXiv:1711.05101) over a model's parameters; norms and biases do not decay."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=config.lr, betas=tuple(config.betas), eps=config.eps, fused=True)


@torch.no_grad()
def mean_and_clip(parameters: Iterable[nn.Parameter], total: float, clip: float) -> float:
    """Divide gradients by `total`, then by what brings their norm down to `clip`. Returns the norm in between.

    A norm that is no finite number changes nothing, and is returned.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = float(whole(torch.nn.utils.get_total_norm(gradients))) / total
    if math.isfinite(norm):
        torch._foreach_mul_(gradients, min(1.0, clip / norm if norm else 1.0) / total)
    return norm
