"""Losses of language model training: which tokens count, and the cross-entropy of those that do.

A loss is one file here and one line of LOSSES; base.py states what it must keep.

base.py            the contract of a loss
config.py          what a loss can be told
cross_entropy.py   all tokens count alike
selective.py       those count that a reference finds worth learning (Rho-1)
fused.py           weighted cross-entropy without all logits in memory
kept_tokens.py     which tokens a loss would train on
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from operators.learn.losses.base import Loss
    from operators.learn.losses.config import LossConfig


@dataclass(frozen=True)
class LossEntry:
    """A loss, free of torch: what it does in a line, its part of the line on `loss.name`, and its class, MODULE:CLASS here."""

    summary: str
    choice: str
    address: str

    def loss_class(self) -> type["Loss"]:
        module, _, name = self.address.partition(":")
        return getattr(import_module(f"{__name__}.{module}"), name)


LOSSES = {
    "cross_entropy": LossEntry(
        "all tokens count alike", "cross_entropy trains on all tokens", "cross_entropy:CrossEntropy"
    ),
    "selective": LossEntry(
        "those tokens count that a reference finds worth learning (Rho-1); see loss.* of `pretrain`",
        "selective on the best of them (Rho-1)",
        "selective:Selective",
    ),
}


def build_loss(config: "LossConfig", references: int = 1) -> "Loss":
    """Build the loss that was asked for (see base.py); `references` counts the reference losses in the scores."""
    return LOSSES[config.name].loss_class()(config, references)
