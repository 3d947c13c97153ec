"""Rows that were chosen before, in several rounds, as one choice."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from operators.select.selectors.base import Budget, Choice, Pool


class Listed:
    """Choose the rows at `positions`, in that order."""

    reads = ("id",)

    def __init__(self, config: Any, positions: Sequence[int] | None = None):
        self.config, self.positions = config, np.asarray([] if positions is None else positions, dtype=np.int64)

    def __call__(self, pool: Pool, budget: Budget) -> Choice:
        return Choice(budget.prefix(self.positions))
