"""Scores: what a reference model makes of every token of packed rows, saved once and read by every run that selects."""

from operators.score.base import ScoreConfig, Server, score_columns
from operators.score.scorer import Scorer

__all__ = ["ScoreConfig", "Scorer", "Server", "score_columns"]
