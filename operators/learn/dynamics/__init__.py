"""How the loss of each token moves while a model learns: statistics, classes, curves, and a page to look at them.

statistics.py   four sums a token, while checkpoints pass by
classes.py      high or low before, high or low after
page.py         the page
plot.py         the loss of each class as a picture
pieces.py       the text of each token
look.py         colours and legends
"""

from operators.learn.dynamics.classes import (
    CLASSES,
    UNDEFINED,
    ClassTotals,
    DynamicsConfig,
    LossCurves,
    TokenClasses,
    classify,
    curves_of,
    totals_of,
)
from operators.learn.dynamics.page import DynamicsReport, SampleText, page
from operators.learn.dynamics.plot import plot_curves
from operators.learn.dynamics.statistics import TokenStatistics, join, mean_last_loss

__all__ = [
    "CLASSES",
    "UNDEFINED",
    "ClassTotals",
    "DynamicsConfig",
    "DynamicsReport",
    "LossCurves",
    "SampleText",
    "TokenClasses",
    "TokenStatistics",
    "classify",
    "curves_of",
    "join",
    "mean_last_loss",
    "page",
    "plot_curves",
    "totals_of",
]
