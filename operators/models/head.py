"""The output head of a language model, and the losses of its tokens without the logits of all of them at once.

Shapes: N tokens, H hidden units, V vocabulary entries. Losses and entropies are in nats.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

TILE = {"cpu": 256, "cuda": 2048}  # tokens whose logits are worked on at once: enough for fast products, and no more


@dataclass(frozen=True)
class Head:
    """What stands between the last hidden state (after the final norm) and the logits.

    Logits are `scale * (hidden @ weight.T + bias)`, then `softcap * tanh(logits / softcap)` where there is a softcap.
    """

    weight_VH: Tensor
    bias_V: Tensor | None = None
    softcap: float | None = None
    scale: float = 1.0

    def for_products(self, hidden_NH: Tensor) -> tuple["Head", Tensor]:
        """Give head and hidden states in one number format, without gradient, for `logits` to lose nothing more.

        Half precision stays on CUDA, whose products of it can end in float32; elsewhere it becomes float32. Under autocast
        the format is autocast's. float64 stays.
        """
        kind = hidden_NH.device.type
        dtype = torch.promote_types(hidden_NH.dtype, self.weight_VH.dtype)
        if torch.is_autocast_enabled(kind):
            dtype = torch.get_autocast_dtype(kind)
        if kind != "cuda":
            dtype = widened(dtype)
        bias_V = None if self.bias_V is None else self.bias_V.detach().to(widened(dtype))
        return replace(self, weight_VH=self.weight_VH.detach().to(dtype), bias_V=bias_V), hidden_NH.detach().to(dtype)

    def logits(self, hidden_NH: Tensor, into_NV: Tensor | None = None) -> Tensor:
        """Give the logits (N, V) in float32 or wider, of what `for_products` gave; `into_NV` is memory for them."""
        logits_NV = product(hidden_NH, self.weight_VH.T, into_NV)
        if self.bias_V is not None:
            logits_NV += self.bias_V
        if self.scale != 1:
            logits_NV *= self.scale
        if self.softcap is not None:
            logits_NV.div_(self.softcap).tanh_().mul_(self.softcap)
        return logits_NV


def widened(dtype: torch.dtype) -> torch.dtype:
    """Give float32, or float64 for float64."""
    return torch.promote_types(dtype, torch.float32)


def product(left: Tensor, right: Tensor, into: Tensor | None = None) -> Tensor:
    """Multiply two matrices of one format; half precision (CUDA only) gives float32."""
    if left.dtype in (torch.bfloat16, torch.float16):
        result = torch.mm(left, right, out_dtype=torch.float32)
        return result if into is None else into.copy_(result)
    return torch.mm(left, right, out=into)


def tiles(tokens: int, device: torch.device) -> Iterator[slice]:
    """Cut so many tokens into tiles."""
    size = TILE.get(device.type, TILE["cuda"])
    return (slice(begin, min(begin + size, tokens)) for begin in range(0, tokens, size))


@torch.no_grad()
def token_losses(
    hidden_NH: Tensor, head: Head, targets_N: Tensor, entropy: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Give -log P(target) of each token and, if asked, the entropy of its prediction.

    hidden (N, H) has the states that predict the targets (N), each from 0 to V-1. Returns float32 (N) each (float64 for
    float64 models), without gradient. No more logits are held at once than those of TILE tokens (twice with entropy).
    """
    head, hidden_NH = head.for_products(hidden_NH)
    losses_N = hidden_NH.new_empty(len(targets_N), dtype=widened(hidden_NH.dtype))
    entropies_N = torch.empty_like(losses_N) if entropy else None
    with torch.autocast(hidden_NH.device.type, enabled=False):
        for part in tiles(len(targets_N), hidden_NH.device):
            losses_N[part], of_part = _losses(head.logits(hidden_NH[part]), targets_N[part], entropy)
            if entropies_N is not None:
                entropies_N[part] = of_part
    return losses_N, entropies_N


def exponentials_(logits_NV: Tensor, targets_N: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Overwrite logits by exp(logits - highest); give losses, sums of the exponentials and highest logits, each (N)."""
    target_N = logits_NV.gather(1, targets_N[:, None].long())[:, 0]
    top_N = logits_NV.amax(1)
    sum_N = logits_NV.sub_(top_N[:, None]).exp_().sum(1)
    return top_N - target_N + sum_N.log(), sum_N, top_N


def _losses(logits_NV: Tensor, targets_N: Tensor, entropy: bool) -> tuple[Tensor, Tensor | None]:
    """Give losses and entropies of a tile, whose logits are overwritten."""
    if not entropy:
        return exponentials_(logits_NV, targets_N)[0], None
    below_NV = logits_NV - logits_NV.amax(1, keepdim=True)
    losses_N, sum_N, _ = exponentials_(logits_NV, targets_N)
    # H = log sum - sum p z, with p = exponential / sum and z the logits below the highest.
    return losses_N, (sum_N.log() - (logits_NV * below_NV).sum(1) / sum_N).clamp_(min=0)
