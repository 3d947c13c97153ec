"""Instruction-following difficulty: how little the question helps a model to predict the answer.

Shapes: B rows of one part.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, Choice, Pool
from operators.select.selectors.picking.columns import check_variant, numbers, reasons, with_reasons
from operators.select.selectors.picking.ranking import GumbelConfig, Scored, ranked
from operators.settings import setting

# Mean loss of the answer given its prompt, and without the question.
COLUMNS = {
    "default": ("answer_loss", "direct_loss"),
    "as_released": ("released_answer_loss", "released_direct_loss"),
}
FORMS = ("loss", "ppl")
ABOVE_ONE = "above_one"  # the question makes the answer less likely: they do not belong together
NO_DIRECT_LOSS = "no_direct_loss"  # the answer alone is certain: there is nothing to compare with


@dataclass
class IfdConfig:
    form: str = setting(
        "loss", "loss: ratio of the mean losses (Cherry_LLM); ppl: of the perplexities (Superfiltering)"
    )
    variant: str = setting(
        "default", "default, or as_released: by the losses of the paper's code, whose spans are a token apart"
    )

    def __post_init__(self):
        if self.form not in FORMS:
            raise BadRequest(f"ifd.form is {self.form!r}. It may be {' or '.join(FORMS)}.")
        check_variant("ifd", self.variant)


class Ifd:
    """Choose the rows with the largest ratio s(A|Q) / s(A), or exp(s(A|Q) - s(A)), of those where it is 1 at most.

    s is the mean loss of the answer's tokens in nats, given the prompt and without the question. Sources: IFD, arXiv:2308.12032;
    Superfiltering, arXiv:2402.00530, for the form `ppl`.
    """

    Config = IfdConfig
    asks = ("gumbel",)

    def __init__(self, config: IfdConfig, gumbel: GumbelConfig | None = None):
        self.form, self.gumbel = config.form, gumbel
        self.columns = COLUMNS[config.variant]
        self.reads = ("id", *with_reasons(*self.columns))

    def __call__(self, pool: Pool, budget: Budget) -> Choice:
        return ranked(lambda: self._scored(pool), budget, self.gumbel)

    def _scored(self, pool: Pool) -> Iterator[Scored]:
        for part in pool.columns(*self.reads):
            answer_B, direct_B = (numbers(part[name]) for name in self.columns)
            ifd_B = difficulty(answer_B, direct_B, self.form)
            reasons_B = np.array(reasons(part, *self.columns), dtype=object)
            reasons_B[np.isnan(ifd_B) & ~np.isnan(answer_B) & ~np.isnan(direct_B)] = NO_DIRECT_LOSS
            reasons_B[ifd_B > 1] = ABOVE_ONE
            yield Scored(part["id"].to_pylist(), np.where(ifd_B > 1, np.nan, ifd_B), reasons_B.tolist())


def difficulty(answer_B: np.ndarray, direct_B: np.ndarray, form: str) -> np.ndarray:
    """Compare mean losses in nats, float64 (B) each: with the question and without it. NaN where that cannot be."""
    if form == "ppl":
        return np.exp(answer_B - direct_B)
    return np.divide(answer_B, direct_B, out=np.full(len(answer_B), np.nan), where=direct_B > 0)
