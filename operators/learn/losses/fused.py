"""Weighted cross-entropy straight from hidden states: only the tokens that count go backwards through the head.

Rows of a batch keep no logits for the backward pass: gradients are made in the forward pass, which is possible because the
result is one number. In units of one product of all tokens with the head, weights known beforehand cost 3k for a kept share
k; weights chosen by the current losses cost 1 + 2k where the logits of those that compete fit in memory, else 1 + 3k.

Shapes: R rows of T tokens, N = R * T places or some of them, H hidden units, V vocabulary entries.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from operators.learn.losses.base import Loss, LossRows
from operators.models.head import Head, exponentials_, product, tiles, token_losses, widened

HELD = {"cpu": 2**28, "cuda": 2**29}  # logits kept while their tokens are weighed, in elements of float32


class Sums(NamedTuple):
    """Sums over some tokens, float64 without dimensions; those of all devices and micro-batches may be added up.

    Kept are tokens with a weight above 0, left are the other candidates whose loss is known. Losses are unweighted, in nats.
    """

    candidates: Tensor
    kept: Tensor
    kept_nll: Tensor
    left: Tensor
    left_nll: Tensor


@dataclass(frozen=True)
class Weighted:
    """What a batch adds to the step: `loss` = sum(weight * L), with gradient; weights and losses (R, T) without.

    `nll_RT` is NaN where a loss was not needed.
    """

    loss: Tensor
    weights_RT: Tensor
    nll_RT: Tensor
    defined_RT: Tensor

    def sums(self) -> Sums:
        kept_RT = self.weights_RT > 0
        left_RT = self.defined_RT & ~kept_RT & ~self.nll_RT.isnan()
        nll_RT = self.nll_RT.double()
        return Sums(
            self.defined_RT.sum().double(),
            kept_RT.sum().double(),
            nll_RT.masked_fill(~kept_RT, 0).sum(),
            left_RT.sum().double(),
            nll_RT.masked_fill(~left_RT, 0).sum(),
        )


def weighted_cross_entropy(
    hidden_RTH: Tensor, head: Head, tokens_RT: Tensor, rows: LossRows, weigh: Loss | Tensor
) -> Weighted:
    """Give sum(weight * L) over a batch, with gradients for the hidden states and the head.

    `hidden_RTH` are the states after each token of `tokens_RT`: a token is predicted by the state before it. `weigh` is the
    loss, which is called here, or weights (R, T) that are known already. A loss of scope `global` must have all of its step
    in this batch. Raises BadValue of the loss, and ValueError for a weight where nothing is defined.
    """
    work = _Work(hidden_RTH, head, tokens_RT)
    with torch.no_grad(), torch.autocast(hidden_RTH.device.type, enabled=False):
        weights_RT = _weigh(work, rows, weigh)
        nll_RT = work.nll_N.view(weights_RT.shape)
        loss = (weights_RT * nll_RT).masked_fill(weights_RT == 0, 0).sum()
        if rows.nll_RT is not None:
            nll_RT = torch.where(nll_RT.isnan(), rows.nll_RT, nll_RT)
    loss = _Attach.apply(loss, hidden_RTH, head.weight_VH, head.bias_V, *work.gradients)
    return Weighted(loss, weights_RT, nll_RT, rows.defined_RT)


def _weigh(work: "_Work", rows: LossRows, weigh: Loss | Tensor) -> Tensor:
    """Take the cheapest exact way through the head; give the weights (R, T)."""
    count, tokens = rows.defined_RT.shape
    if isinstance(weigh, Tensor) or not weigh.needs_nll:
        weights_RT = weigh if isinstance(weigh, Tensor) else weigh(rows)
    else:
        fitting = HELD.get(work.hidden_NH.device.type, HELD["cuda"]) // (tokens * work.vocabulary)
        if fitting >= (1 if weigh.scope == "sequence" else count):
            parts = [slice(first, first + fitting) for first in range(0, max(1, count), fitting)]
            return torch.cat([work.weigh_and_add(rows, weigh, part) for part in parts])
        work.find_losses(_places(rows.defined_RT))
        weights_RT = weigh(rows.part(slice(0, count), work.nll_N.view(count, tokens)))
    if ((weights_RT != 0) & ~rows.defined_RT).any():
        raise ValueError("a weight stands where no token is to be predicted.")
    work.add(_places(weights_RT), weights_RT.flatten())
    return weights_RT


def _places(chosen_RT: Tensor) -> Tensor:
    """Give the flat places of what is not 0: int64 (N)."""
    places_N = chosen_RT.flatten().nonzero()[:, 0]
    if (places_N % chosen_RT.shape[1] == 0).any():
        raise ValueError("the first token of a row is marked, and no state before it predicts it.")
    return places_N


class _Work:
    """Losses of a batch's tokens, and the gradients of sum(weight * L), added up tile by tile."""

    def __init__(self, hidden_RTH: Tensor, head: Head, tokens_RT: Tensor):
        self.head, self.hidden_NH = head.for_products(hidden_RTH.flatten(0, 1))
        self.targets_N, self.vocabulary = tokens_RT.flatten().long(), len(head.weight_VH)
        self.nll_N = self._new(len(self.targets_N)).fill_(torch.nan)
        # Gradients of the head gather the tokens of many tiles: half precision would lose the later ones.
        self.gradients = (
            torch.zeros_like(hidden_RTH, memory_format=torch.contiguous_format) if _wanted(hidden_RTH) else None,
            self._new(*head.weight_VH.shape).zero_() if _wanted(head.weight_VH) else None,
            self._new(self.vocabulary).zero_() if _wanted(head.bias_V) else None,
        )

    def find_losses(self, places_N: Tensor) -> None:
        self.nll_N[places_N] = token_losses(self.hidden_NH[places_N - 1], self.head, self.targets_N[places_N])[0]

    def add(self, places_N: Tensor, weights_N: Tensor) -> None:
        """Add the tokens at some places, by the weights of all places."""
        parts = list(tiles(len(places_N), places_N.device))
        memory_NV = self._new(parts[0].stop if parts else 0, self.vocabulary)
        for part in parts:
            places = places_N[part]
            exponentials_NV = memory_NV[: len(places)]
            sums_N, tops_N = self._exponentials(places, exponentials_NV)
            self._backward(places, exponentials_NV, sums_N, tops_N, weights_N[places])

    def weigh_and_add(self, rows: LossRows, weigh: Loss, part: slice) -> Tensor:
        """Weigh some rows by their losses and add what counts, from the same logits; give the weights of these rows."""
        defined_RT = rows.defined_RT[part]
        begin, size = part.start * defined_RT.shape[1], defined_RT.numel()
        places_N = _places(defined_RT) + begin
        held_NV = self._new(len(places_N), self.vocabulary)
        sums_N, tops_N = self._new(len(places_N)), self._new(len(places_N))
        for tile in tiles(len(places_N), places_N.device):
            sums_N[tile], tops_N[tile] = self._exponentials(places_N[tile], held_NV[tile])
        weights_RT = weigh(rows.part(part, self.nll_N[begin : begin + size].view(defined_RT.shape)))
        weights_N = weights_RT.flatten()[places_N - begin]
        kept_N = weights_N.nonzero()[:, 0]
        for tile in tiles(len(kept_N), kept_N.device):
            kept = kept_N[tile]
            self._backward(places_N[kept], held_NV[kept], sums_N[kept], tops_N[kept], weights_N[kept])
        return weights_RT

    def _exponentials(self, places_N: Tensor, into_NV: Tensor) -> tuple[Tensor, Tensor]:
        """Fill memory with the exponentials of some tokens, and note their losses; give their sums and highest logits."""
        self.head.logits(self.hidden_NH[places_N - 1], into_NV)
        self.nll_N[places_N], sums_N, tops_N = exponentials_(into_NV, self.targets_N[places_N])
        return sums_N, tops_N

    def _backward(self, places_N: Tensor, exponentials_NV: Tensor, sums_N: Tensor, tops_N: Tensor, weights_N: Tensor):
        """Add the gradients of some tokens, whose exponentials are overwritten by the gradients of their logits."""
        hidden_RTH, weight_VH, bias_V = self.gradients
        slopes_NV = self._slopes(exponentials_NV, tops_N)
        weights_N = weights_N * self.head.scale
        steps_NV = exponentials_NV.mul_((weights_N / sums_N)[:, None])  # weight * softmax
        steps_NV.scatter_add_(1, self.targets_N[places_N, None], -weights_N[:, None].to(steps_NV.dtype))
        if slopes_NV is not None:
            steps_NV *= slopes_NV
        if bias_V is not None:
            bias_V += steps_NV.sum(0)
        steps_NV = steps_NV.to(self.hidden_NH.dtype)
        if hidden_RTH is not None:
            step_NH = product(steps_NV, self.head.weight_VH)
            hidden_RTH.view(self.hidden_NH.shape)[places_N - 1] = step_NH.to(hidden_RTH.dtype)
        if weight_VH is not None:
            _add_product(weight_VH, steps_NV.T, self.hidden_NH[places_N - 1])

    def _slopes(self, exponentials_NV: Tensor, tops_N: Tensor) -> Tensor | None:
        """Give the slopes of the softcap, 1 - tanh^2, from logits that are taken back from their exponentials."""
        if self.head.softcap is None:
            return None
        logits_NV = exponentials_NV.log().add_(tops_N[:, None])
        # An exponential that came out as 0 has a logarithm of -inf; what it is multiplied with is 0 as well.
        return logits_NV.div_(self.head.softcap).square_().neg_().add_(1).clamp_(0, 1)

    def _new(self, *shape: int) -> Tensor:
        return self.hidden_NH.new_empty(shape, dtype=widened(self.hidden_NH.dtype))


def _wanted(tensor: Tensor | None) -> bool:
    return tensor is not None and tensor.requires_grad and torch.is_grad_enabled()


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total += product(left, right)


class _Attach(torch.autograd.Function):
    """Give a number that was worked out together with its gradients, so that backward only has to scale them."""

    @staticmethod
    def forward(
        ctx, loss: Tensor, hidden_RTH: Tensor, weight_VH: Tensor, bias_V: Tensor | None, *gradients: Tensor | None
    ):
        ctx.save_for_backward(*gradients)
        ctx.dtypes = [None if tensor is None else tensor.dtype for tensor in (hidden_RTH, weight_VH, bias_V)]
        return loss.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, factor: Tensor):
        scaled = [
            None if gradient is None else torch.mul(gradient, factor, out=torch.empty_like(gradient, dtype=dtype))
            for gradient, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        ]
        return None, *scaled, None, None, None
