"""Selective language modeling: train only on the tokens that a reference finds worth it.

Shapes: R rows of T tokens; G groups, in which C places of tokens compete. Losses, entropies and scores are in nats.
Source: Rho-1, arXiv:2404.07965; equations 2 to 5, and self-reference in its version 4. Where the paper says nothing
(count, ties, scope, soft weights, several references) the rules are ours.
"""

import math

import torch
from torch import Tensor

from operators.errors import BadRequest
from operators.learn.losses.base import Loss, LossRows, checked, per_sequence
from operators.learn.losses.config import LossConfig

LOSS, ENTROPY = "reference_loss", "reference_entropy"


class Selective(Loss):
    """Weigh by 1 the tokens that were chosen and by 0 all others; with a temperature, by how clearly they are chosen.

    Of each group's N candidates the floor(keep * N) with the highest scores are chosen; of equal ones the earlier. Scores are
    excess = current loss - reference loss (eq. 3), or the reference's loss or entropy with the sign turned, since low ones
    are wanted. `intersection` and `union` join the choice by loss with that by entropy. Raises BadValue where a loss or score
    of a candidate is no finite number.
    """

    def __init__(self, config: LossConfig, references: int = 1):
        super().__init__(config, references)
        self.scope = config.scope
        self.needs_nll = config.score == "excess"
        reads = {"excess": (LOSS,), LOSS: (LOSS,), ENTROPY: (ENTROPY,)}.get(config.score, (LOSS, ENTROPY))
        if references > 1 and ENTROPY in reads:
            raise BadRequest(
                f"loss.score={config.score} reads the entropy of one reference, and the scores have {references}. "
                "Several can be combined for excess and reference_loss."
            )
        self.losses = (LOSS,) if references == 1 else tuple(f"{LOSS}_{number + 1}" for number in range(references))
        self.columns = tuple(name for kind in reads for name in (self.losses if kind == LOSS else (ENTROPY,)))

    def __call__(self, rows: LossRows) -> Tensor:
        """Weigh rows; float32 (R, T)."""
        defined_GC = self._groups(rows.defined_RT)
        weights = [
            self._weights(self._groups(score_RT), defined_GC, keep_at(rows.step, keep, self.config.warmup_steps))
            for score_RT, keep in self._scores(rows)
        ]
        # Of two weights the lower one belongs to the intersection and the higher one to the union.
        joined_GC = torch.stack(weights).amax(0) if self.config.score == "union" else torch.stack(weights).amin(0)
        weights_RT = joined_GC.view(rows.defined_RT.shape)
        return per_sequence(weights_RT) if self.config.normalise == "sequence_mean" else weights_RT

    def _scores(self, rows: LossRows) -> list[tuple[Tensor, float]]:
        """Give the scores (R, T), higher is better, each with the share to keep of it."""
        config = self.config
        read = {name: checked(name, rows.columns[name], rows) for name in self.columns}
        if config.score == ENTROPY:
            return [(-read[ENTROPY], config.keep)]
        loss_RT = combined([read[name] for name in self.losses], config.combine)
        if config.score == "excess":
            return [(checked("the current loss", rows.nll_RT, rows) - loss_RT, config.keep)]
        if config.score == LOSS:
            return [(-loss_RT, config.keep)]
        return [(-loss_RT, config.keep), (-read[ENTROPY], config.keep_entropy or config.keep)]

    def _groups(self, values_RT: Tensor) -> Tensor:
        """Arrange by groups that compete (G, C): each row is one, or all that is given."""
        return values_RT if self.scope == "sequence" else values_RT.reshape(1, -1)

    def _weights(self, score_GC: Tensor, defined_GC: Tensor, keep: float) -> Tensor:
        chosen_GC, threshold_G = choose(score_GC, defined_GC, keep, self.config.min_keep)
        if self.config.temperature is None:
            return chosen_GC.float()
        soft_GC = torch.sigmoid((score_GC - threshold_G[:, None]) / self.config.temperature)
        return soft_GC.masked_fill(~defined_GC, 0).float()


def choose(score_GC: Tensor, defined_GC: Tensor, keep: float, min_keep: int = 0) -> tuple[Tensor, Tensor]:
    """Mark floor(keep * N) of the N candidates of each group, those with the highest scores; of equal ones the earlier.

    Returns bool (G, C), and for each group the score (G) halfway between the last one chosen and the first one that is not:
    -inf where all are chosen, inf where none is.
    """
    ranked_GC, order_GC = score_GC.masked_fill(~defined_GC, -torch.inf).sort(dim=1, descending=True, stable=True)
    candidates_G = defined_GC.sum(1)
    count_G = (candidates_G.double() * keep).floor().long()
    count_G = torch.maximum(count_G, candidates_G.clamp(max=min_keep))
    places = torch.arange(score_GC.shape[1], device=score_GC.device)
    chosen_GC = torch.zeros_like(defined_GC).scatter_(1, order_GC, places < count_G[:, None])
    walled_GC = torch.nn.functional.pad(ranked_GC, (1, 1), value=-torch.inf)
    walled_GC[:, 0] = torch.inf
    threshold_G = walled_GC.gather(1, torch.stack([count_G, count_G + 1], dim=1)).mean(1)
    return chosen_GC, threshold_G


def keep_at(step: int, keep: float, warmup_steps: int) -> float:
    """Give the share to keep at a step: 1 at step 0, down in a line to `keep` at step `warmup_steps`."""
    return keep if step >= warmup_steps else 1 - (1 - keep) * step / warmup_steps


def combined(losses: list[Tensor], how: str) -> Tensor:
    """Combine the losses of several references: their mean, their min, or that of the mixture of their probabilities."""
    if len(losses) == 1:
        return losses[0]
    stacked = torch.stack(losses)
    if how == "mixture":  # -log(mean of exp(-L))
        return math.log(len(losses)) - torch.logsumexp(-stacked, dim=0)
    return stacked.amin(0) if how == "min" else stacked.mean(0)
