"""The rows whose answers a model finds hard, easy, or neither.

Shapes: N rows of the pool, B rows of one part.
"""

from dataclasses import dataclass

import numpy as np

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, Choice, Pool
from operators.select.selectors.picking.columns import numbers, scored, with_reasons
from operators.select.selectors.picking.ranking import GumbelConfig, ranked
from operators.settings import setting

COLUMN = "answer_loss"
KEEP = ("lowest", "highest", "middle")


@dataclass
class PerplexityConfig:
    keep: str = setting("middle", "which perplexities are chosen: lowest, highest, or middle (nearest to the median)")

    def __post_init__(self):
        if self.keep not in KEEP:
            raise BadRequest(f"perplexity.keep is {self.keep!r}. It may be {', '.join(KEEP)}.")


class Perplexity:
    """Choose rows by the perplexity of the answer given its prompt: exp of its mean loss.

    In the middle the score is minus the distance of the mean loss to the pool's median, in nats; the losses of the whole
    pool are held for that, 8 bytes each. Else it is the perplexity.
    """

    Config = PerplexityConfig
    asks = ("gumbel",)
    reads = ("id", *with_reasons(COLUMN))

    def __init__(self, config: PerplexityConfig, gumbel: GumbelConfig | None = None):
        self.keep, self.gumbel = config.keep, gumbel

    def __call__(self, pool: Pool, budget: Budget) -> Choice:
        if self.keep != "middle":
            return ranked(scored(pool, COLUMN, np.exp), budget, self.gumbel, lowest=self.keep == "lowest")
        median = _median(pool)
        choice = ranked(scored(pool, COLUMN, lambda loss_B: -np.abs(loss_B - median)), budget, self.gumbel)
        choice.notes["median_loss"] = median
        return choice


def _median(pool: Pool) -> float:
    loss_N = np.concatenate([np.empty(0), *(numbers(part[COLUMN]) for part in pool.columns(COLUMN))])
    known = loss_N[~np.isnan(loss_N)]
    return float(np.median(known)) if len(known) else 0.0
