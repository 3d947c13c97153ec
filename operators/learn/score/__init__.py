"""Scores: what a reference model makes of every token of packed rows, saved once and read by every run that selects.

base.py       the contract of a reference
scorer.py     rows scored with one or several references
local.py      a reference in this process
endpoint.py   a reference behind a URL
"""

from operators.learn.score.base import ScoreConfig, Server, score_columns
from operators.learn.score.scorer import Scorer

__all__ = ["ScoreConfig", "Scorer", "Server", "score_columns"]
