"""The rows whose answers a model finds hardest: the highest mean loss of the answer's tokens."""

from dataclasses import dataclass

from operators.select.selectors.base import Budget, Choice, Pool
from operators.select.selectors.picking.columns import check_variant, scored, with_reasons
from operators.select.selectors.picking.ranking import GumbelConfig, ranked
from operators.settings import setting

COLUMNS = {"default": "answer_loss", "as_released": "released_cross_entropy"}


@dataclass
class CrossEntropyConfig:
    variant: str = setting(
        "default", "default, or as_released: by the loss of the paper's code, whose logits are one token off"
    )

    def __post_init__(self):
        check_variant("cross_entropy", self.variant)


class CrossEntropy:
    """Choose the rows with the highest mean loss of the answer given its prompt, in nats per token.

    Source: the "Entropy" rows of arXiv:2410.09335, and its code for `as_released`.
    """

    Config = CrossEntropyConfig
    asks = ("gumbel",)

    def __init__(self, config: CrossEntropyConfig, gumbel: GumbelConfig | None = None):
        self.column, self.gumbel = COLUMNS[config.variant], gumbel
        self.reads = ("id", *with_reasons(self.column))

    def __call__(self, pool: Pool, budget: Budget) -> Choice:
        return ranked(scored(pool, self.column, lambda loss_B: loss_B), budget, self.gumbel)
