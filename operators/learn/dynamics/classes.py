"""Tokens by how their loss moved from the first to the last checkpoint: high or low before -> high or low after.

Shapes: `...` is any shape of tokens, C the four classes in the order of CLASSES, X checkpoints.
Source: Rho-1, arXiv:2404.07965, its section on training dynamics: least squares over the checkpoints x = 0..n.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from operators.errors import BadRequest
from operators.learn.dynamics.statistics import TokenStatistics
from operators.settings import setting

CLASSES = ("H→H", "L→H", "H→L", "L→L")  # their codes are 0, 1, 2, 3
UNDEFINED = -1
ROUNDING = (
    1e-9  # nats; a change of just the threshold is flat, and sums in binary miss a decimal number by less than this
)


@dataclass
class DynamicsConfig:
    """What counts as a change."""

    threshold: float = setting(0.2, "nats by which the fitted loss must move to leave the flat classes")

    def __post_init__(self):
        if not 0 <= self.threshold < math.inf:
            raise BadRequest(f"dynamics.threshold is a number of nats from 0, got {self.threshold}. The paper has 0.2.")


@dataclass(frozen=True)
class TokenClasses:
    """The class of each token and the line fitted to its losses.

    `code` is int8 (...), an index of CLASSES or UNDEFINED. `change` is the fitted end minus the fitted start in nats, `slope`
    nats per checkpoint, `start` the fitted first loss, `variance` that of the residuals (nats^2, how much the loss
    fluctuates; NaN below three checkpoints): float64 (...), NaN where undefined.
    """

    code: np.ndarray
    change: np.ndarray
    slope: np.ndarray
    start: np.ndarray
    variance: np.ndarray


def classify(statistics: TokenStatistics, mean_last: float, threshold: float = 0.2) -> TokenClasses:
    """Classify tokens by the change of their fitted loss; the flat ones by their last loss against the mean of all.

    `mean_last` is `mean_last_loss` of all shards. Raises BadRequest below two checkpoints.
    """
    n = statistics.checkpoints - 1
    if n < 1:
        raise BadRequest(
            f"{statistics.checkpoints} checkpoints show no change. Dynamics need at least two, better ten or more."
        )
    squares_x = n * (n + 1) * (n + 2) / 12  # of x around its mean n/2
    slope = (statistics.weighted - n / 2 * statistics.sums) / squares_x
    start = statistics.sums / (n + 1) - slope * n / 2
    change = slope * n
    return TokenClasses(
        _codes(change, statistics.last, mean_last, threshold),
        change,
        slope,
        start,
        _variance(statistics, slope, squares_x),
    )


def _codes(change: np.ndarray, last: np.ndarray, mean_last: float, threshold: float) -> np.ndarray:
    high = last > mean_last  # the raw last loss, not the fitted end
    code = np.where(high, CLASSES.index("H→H"), CLASSES.index("L→L")).astype(np.int8)
    code[change < -threshold - ROUNDING] = CLASSES.index("H→L")
    code[change > threshold + ROUNDING] = CLASSES.index("L→H")
    code[np.isnan(last)] = UNDEFINED
    return code


def _variance(statistics: TokenStatistics, slope: np.ndarray, squares_x: float) -> np.ndarray:
    """Estimate the variance around the fitted line: c checkpoints, two of them used up by the line."""
    c = statistics.checkpoints
    if c < 3:
        return np.full_like(slope, np.nan)
    residual = statistics.squares - statistics.sums**2 / c - slope**2 * squares_x
    return np.maximum(residual, 0.0) / (c - 2)  # rounding may leave a little less than nothing


@dataclass(frozen=True)
class ClassTotals:
    """Sums over the tokens of each class, which add up over shards: tokens int64, change and variance float64, all (C,)."""

    tokens_C: np.ndarray
    change_C: np.ndarray
    variance_C: np.ndarray

    def __add__(self, other: "ClassTotals") -> "ClassTotals":
        return ClassTotals(
            self.tokens_C + other.tokens_C, self.change_C + other.change_C, self.variance_C + other.variance_C
        )

    @property
    def share_C(self) -> np.ndarray:
        """Give the share of all defined tokens in each class: float64 (C,), in [0, 1]."""
        return self.tokens_C / max(1, self.tokens_C.sum())


def totals_of(classes: TokenClasses) -> ClassTotals:
    """Sum up the tokens of a shard by class."""
    defined = classes.code != UNDEFINED
    code = classes.code[defined]

    def by_class(values: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(code, None if values is None else values[defined], minlength=len(CLASSES))

    return ClassTotals(by_class(), by_class(classes.change), by_class(classes.variance))


@dataclass(frozen=True)
class LossCurves:
    """Summed losses of each class at each checkpoint, which add up over shards: tokens int64 (C,), sums float64 (X, C)."""

    tokens_C: np.ndarray
    sums_XC: np.ndarray

    def __add__(self, other: "LossCurves") -> "LossCurves":
        return LossCurves(self.tokens_C + other.tokens_C, self.sums_XC + other.sums_XC)

    @property
    def means_XC(self) -> np.ndarray:
        """Give the mean loss of each class at each checkpoint: nats (X, C), NaN for a class without tokens."""
        return np.where(self.tokens_C > 0, self.sums_XC / np.maximum(1, self.tokens_C), np.nan)

    @property
    def mean_X(self) -> np.ndarray:
        """Give the mean loss of all defined tokens at each checkpoint: nats (X,)."""
        return self.sums_XC.sum(axis=1) / max(1, self.tokens_C.sum())


def curves_of(code: np.ndarray, checkpoints: Iterable[np.ndarray]) -> LossCurves:
    """Sum up the losses (...) of every checkpoint by the class of the token.

    It is a second pass over the losses, one checkpoint in memory at a time, as the classes are known only after the first.
    """
    defined = code != UNDEFINED
    code = code[defined]
    sums = [np.bincount(code, np.asarray(losses)[defined], minlength=len(CLASSES)) for losses in checkpoints]
    return LossCurves(np.bincount(code, minlength=len(CLASSES)), np.array(sums).reshape(-1, len(CLASSES)))
