"""Evaluate a student on evaluation examples: the loss of its answers, and how often it would choose the right one."""

from operators.select.evaluate.base import EvaluateConfig, metrics, with_answers
from operators.select.evaluate.evaluate import Evaluate

__all__ = ["Evaluate", "EvaluateConfig", "metrics", "with_answers"]
