"""Gradients of examples with respect to adapters, projected, as LESS compares them."""

from operators.select.measure.gradients.measure import Gradients

__all__ = ["Gradients"]
