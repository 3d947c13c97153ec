"""SelectIT: how well a model rates a row, and how sure it is of that.

Shapes: B rows of one part, P rating prompts, J digits (ratings 1 to J).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, Choice, Pool
from operators.select.selectors.picking.columns import check_variant, reasons, with_reasons
from operators.select.selectors.picking.ranking import GumbelConfig, Scored, ranked
from operators.settings import setting

COLUMN = "digit_logits"  # of several models: digit_logits_0, digit_logits_1, ...
DIGITS = 5
LEVELS = ("token", "sentence", "model")


@dataclass
class SelectItConfig:
    level: str = setting(
        "sentence", "token (the first rating prompt alone), sentence (all prompts), or model (several models)"
    )
    alpha: float = setting(0.2, "sentence and model: how much disagreement of the prompts lowers the score")
    theta: list[float] = setting([], "model: the parameter count of each rating model, in any unit, in their order")
    variant: str = setting(
        "default", "default, or as_released: a second softmax over the ratings' probabilities, as the official code has"
    )

    def __post_init__(self):
        check_variant("selectit", self.variant)
        if self.level not in LEVELS:
            raise BadRequest(f"selectit.level is {self.level!r}. It may be {', '.join(LEVELS)}.")
        if not self.alpha >= 0:
            raise BadRequest(f"selectit.alpha is a number from 0, got {self.alpha}.")
        if self.level == "model" and len(self.theta) < 2:
            raise BadRequest(
                f"selectit.level=model weighs several models, and selectit.theta={self.theta} names {len(self.theta)}. Give "
                "their parameter counts, for example selectit.theta=[1.5,7], or take selectit.level=sentence."
            )
        if any(not size > 0 for size in self.theta):
            raise BadRequest(f"selectit.theta counts parameters, each above 0, got {self.theta}.")


class SelectIt:
    """Choose the rows with the highest ratings times certainty. Reads the digits' logits of every rating prompt.

    Source: SelectIT, arXiv:2402.16705.
    """

    Config = SelectItConfig
    asks = ("gumbel",)

    def __init__(self, config: SelectItConfig, gumbel: GumbelConfig | None = None):
        self.config, self.gumbel = config, gumbel
        several = config.level == "model"
        self.columns = [f"{COLUMN}_{number}" for number in range(len(config.theta))] if several else [COLUMN]
        self.reads = ("id", *with_reasons(*self.columns))

    def __call__(self, pool: Pool, budget: Budget) -> Choice:
        return ranked(lambda: self._scored(pool), budget, self.gumbel)

    def _scored(self, pool: Pool) -> Iterator[Scored]:
        weights = np.array(self.config.theta if self.config.level == "model" else [1.0])
        for part in pool.columns(*self.reads):
            each = [self._of_model(part[name]) for name in self.columns]
            scores_B = np.tensordot(weights / weights.sum(), np.stack(each), 1)
            yield Scored(part["id"].to_pylist(), scores_B, reasons(part, *self.columns))

    def _of_model(self, logits: pa.ChunkedArray) -> np.ndarray:
        ratings_BP = token_ratings(_logits(logits), second_softmax=self.config.variant == "as_released")
        if self.config.level == "token":
            return ratings_BP[:, 0]
        return sentence_rating(ratings_BP, self.config.alpha)


def token_ratings(logits_BPJ: np.ndarray, second_softmax: bool = False) -> np.ndarray:
    """Rate by each prompt: the likeliest rating times how far it stands out. Logits (B, P, J) give float64 (B, P).

    Probabilities P' are the softmax of the digits' logits alone, which is P_j / sum P. The rating is
    (b / (J - 1)) * sum_j |P'_j - P'_b| for the likeliest b in 1..J, the lowest of equals. Source: SelectIT, arXiv:2402.16705.
    """
    likely_BPJ = _softmax(logits_BPJ.astype(np.float64))
    if second_softmax:
        likely_BPJ = _softmax(likely_BPJ)
    base_BP = likely_BPJ.argmax(axis=-1)
    gaps_BP = np.abs(likely_BPJ - likely_BPJ.max(axis=-1, keepdims=True)).sum(axis=-1)
    return (base_BP + 1) * gaps_BP / (logits_BPJ.shape[-1] - 1)


def sentence_rating(ratings_BP: np.ndarray, alpha: float) -> np.ndarray:
    """Join the ratings by several prompts: mean / (1 + alpha * std), the deviation of a population (SelectIT)."""
    return ratings_BP.mean(axis=1) / (1 + alpha * ratings_BP.std(axis=1))


def _softmax(values: np.ndarray) -> np.ndarray:
    exponentials = np.exp(values - values.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def _logits(column: pa.ChunkedArray) -> np.ndarray:
    """Lay a column of lists out as (B, P, J), NaN where a row has none."""
    rows = column.to_pylist()
    width = max((len(row) for row in rows if row is not None), default=DIGITS)
    return np.array([row if row is not None else [np.nan] * width for row in rows]).reshape(len(rows), -1, DIGITS)
