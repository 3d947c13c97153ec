"""Gradients of examples with respect to adapters, projected, as LESS compares them.

measure.py       the measure
config.py        what gradients are taken of, and how they are projected
features.py      gradients into features: preconditioned as Adam would, projected, of length 1
adapters.py      the gradient of each example, for many examples in one backward
projection.py    random projection by a matrix of signs that is never there as a whole
"""

from operators.select.measure.gradients.measure import Gradients

__all__ = ["Gradients"]
