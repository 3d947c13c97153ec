"""Rows by their number of tokens: the cheapest score there is, and a stable one (arXiv:2402.04833 takes the longest answers)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, Choice, Pool
from operators.select.selectors.picking.columns import numbers
from operators.select.selectors.picking.ranking import GumbelConfig, Scored, ranked, uniform
from operators.settings import setting

COLUMNS = {"answer": "answer_tokens", "prompt": "prompt_tokens", "total": "tokens"}
ORDERS = ("longest", "shortest", "random")


@dataclass
class LengthConfig:
    """What is counted, and which rows come first."""

    of: str = setting("answer", "whose tokens count: answer, prompt or total")
    order: str = setting("longest", "which rows are chosen: longest, shortest, or random ones of the range")
    min: int | None = setting(None, "tokens of the shortest row that may be chosen")
    max: int | None = setting(None, "tokens of the longest row that may be chosen")
    seed: int = setting(0, "seed of order=random")

    def __post_init__(self):
        if self.of not in COLUMNS:
            raise BadRequest(f"length.of is {self.of!r}. It may be {', '.join(COLUMNS)}.")
        if self.order not in ORDERS:
            raise BadRequest(f"length.order is {self.order!r}. It may be {', '.join(ORDERS)}.")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise BadRequest(f"length.min={self.min} is above length.max={self.max}: no row has such a length.")


class Length:
    """Choose the longest rows, or the shortest, or random ones, of those in a range of tokens; the others are `out_of_range`.

    Reads token counts; a row without one is excluded as `no_tokens`. Scores are the counts; random rows have none.
    The comparison paper released no rule for its choice by length, only counts that miss tokens with the id 0 and count a second
    beginning of text: there is no released choice to reproduce.
    """

    Config = LengthConfig
    asks = ("gumbel",)

    def __init__(self, config: LengthConfig, gumbel: GumbelConfig | None = None):
        self.config, self._gumbel = config, gumbel
        self.reads = ("id", COLUMNS[config.of])

    def __call__(self, pool: Pool, budget: Budget) -> Choice:
        if self.config.order == "random":
            return replace(ranked(lambda: self._scored(pool), budget), scores=None)
        return ranked(lambda: self._scored(pool), budget, self._gumbel, lowest=self.config.order == "shortest")

    def _scored(self, pool: Pool) -> Iterator[Scored]:
        for table in pool.columns(*self.reads):
            ids = table["id"].to_pylist()
            tokens_B = numbers(table[self.reads[1]])
            known, inside = ~np.isnan(tokens_B), self._inside(tokens_B)
            reasons = np.where(known, "out_of_range", "no_tokens")
            scores_B = uniform(self.config.seed, ids) if self.config.order == "random" else tokens_B
            yield Scored(ids, np.where(known & inside, scores_B, math.nan), reasons)

    def _inside(self, tokens_B: np.ndarray) -> np.ndarray:
        least = -math.inf if self.config.min is None else self.config.min
        most = math.inf if self.config.max is None else self.config.max
        return (least <= tokens_B) & (tokens_B <= most)
