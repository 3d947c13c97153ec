"""Evaluate a student on evaluation examples: the loss of its answers, and how often it would choose the right one.

base.py       how a student is evaluated, and what comes of it
evaluate.py   a student on the evaluation set
answers.py    how likely a model finds answers
"""

from operators.select.evaluate.base import EvaluateConfig, metrics, with_answers
from operators.select.evaluate.evaluate import Evaluate

__all__ = ["Evaluate", "EvaluateConfig", "metrics", "with_answers"]
