"""DiverseEvol: rounds in which a student says which rows are far from those it has learned; their rows are one choice here.

The rounds themselves train and embed, so they run as stages before the choice (pipelines/select/prepare/diverse_evol.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, Choice, Pool
from operators.settings import setting


@dataclass
class DiverseEvolConfig:
    rounds: int = setting(10, "rounds after the first; each trains a student from the base model (student.*)")
    first: int | None = setting(None, "random rows of the first round; null: as many as in each of the others")
    seed: int = setting(0, "seed of the random rows")

    def __post_init__(self):
        if self.rounds < 1:
            raise BadRequest(
                f"diverse_evol.rounds is a number from 1, got {self.rounds}. For one k-center take k_center."
            )
        if self.first is not None and self.first < 1:
            raise BadRequest(f"diverse_evol.first is a number of rows from 1 or null, got {self.first}.")

    def sizes(self, rows: int) -> list[int]:
        """Share out the rows of a budget among the first round and the others. Raises BadRequest for too few."""
        first = self.first if self.first is not None else -(-rows // (self.rounds + 1))
        sizes = [first, *np.diff(np.linspace(0, rows - first, self.rounds + 1).astype(int)).tolist()]
        if min(sizes) < 1:
            raise BadRequest(
                f"diverse_evol has {self.rounds + 1} rounds and the budget is {rows:,} rows, {first:,} of them in the first. "
                "Lower diverse_evol.rounds or diverse_evol.first, or raise the budget."
            )
        return sizes


class DiverseEvol:
    """Choose the rows at `positions`, in that order: the picks of all rounds. Source: arXiv:2311.08182, algorithm 1."""

    Config = DiverseEvolConfig
    asks = ("positions",)
    reads = ("id",)

    def __init__(self, config: DiverseEvolConfig, positions: Sequence[int] | None = None):
        self.config, self.positions = config, np.asarray([] if positions is None else positions, dtype=np.int64)

    def __call__(self, pool: Pool, budget: Budget) -> Choice:
        return Choice(budget.prefix(self.positions))
