"""What is kept of each token while checkpoint after checkpoint passes by: four sums, never the losses themselves.

Shapes: `...` is any shape of tokens, such as rows x window; it is the same for every checkpoint.
Source: Rho-1, arXiv:2404.07965, its section on training dynamics; that the fit needs only these sums is arithmetic.
"""

import math
from collections.abc import Sequence

import numpy as np

from operators.errors import BadRequest


class TokenStatistics:
    """Sums over checkpoints x = 0..n of the losses l of each token, in float64: l, x*l, l^2, and the last l.

    `add` takes the losses of one checkpoint after the other, in nats, NaN where a token is undefined. Undefined tokens must
    be the same at every checkpoint.
    """

    def __init__(self, shape: int | tuple[int, ...]):
        self.checkpoints = 0
        self.sums, self.weighted, self.squares, self.last = (np.zeros(shape) for _ in range(4))

    def add(self, losses: np.ndarray) -> None:
        """Take in the next checkpoint. Raises BadRequest on another shape, an infinity, or a NaN that was not there before."""
        losses = np.array(losses, np.float64)  # a copy, which is kept as the last one
        self._check(losses)
        self.sums += losses
        self.weighted += self.checkpoints * losses
        self.squares += losses * losses
        self.last = losses
        self.checkpoints += 1

    @property
    def defined(self) -> np.ndarray:
        """Tell which tokens have a loss: bool (...)."""
        return ~np.isnan(self.last)

    def _check(self, losses: np.ndarray) -> None:
        if losses.shape != self.last.shape:
            raise BadRequest(
                f"checkpoint {self.checkpoints} has losses of shape {losses.shape}, and the tokens are {self.last.shape}. "
                "Score every checkpoint on the same packed tokens."
            )
        bad = np.isinf(losses)
        if self.checkpoints:
            bad |= np.isnan(losses) == self.defined
        if bad.any():
            place = tuple(int(index) for index in np.argwhere(bad)[0])
            raise BadRequest(
                f"checkpoint {self.checkpoints}: the loss at {place} is {losses[place]}, and {int(bad.sum())} in all are "
                "infinite, or undefined at some checkpoints only. Score every checkpoint on the same packed tokens, with the "
                "same context; leave out a checkpoint that diverged."
            )


def join(shards: Sequence[TokenStatistics]) -> TokenStatistics:
    """Put the tokens of shards one after the other (along the first axis). Raises BadRequest if their checkpoints differ."""
    if len(counts := sorted({shard.checkpoints for shard in shards})) != 1:
        raise BadRequest(f"shards have seen {counts} checkpoints. Give each of them every checkpoint once.")
    whole = TokenStatistics(0)
    whole.checkpoints = counts[0]
    for name in ("sums", "weighted", "squares", "last"):
        setattr(whole, name, np.concatenate([getattr(shard, name) for shard in shards]))
    return whole


def mean_last_loss(shards: Sequence[TokenStatistics]) -> float:
    """Give the mean loss of all defined tokens at the last checkpoint, in nats: L_mean, which parts high from low.

    The order of the shards does not matter. Raises BadRequest where no token is defined.
    """
    tokens = sum(int(shard.defined.sum()) for shard in shards)
    if not tokens:
        raise BadRequest("no token has a loss. Dynamics need packed rows with targets, scored by every checkpoint.")
    return math.fsum(float(shard.last[shard.defined].sum()) for shard in shards) / tokens
