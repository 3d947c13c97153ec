"""ZIP: the rows that compress least together, chosen in rounds of three stages (the entropy law, arXiv:2407.06645).

Shapes: N rows of the pool, K of some of them.
"""

import math
import os
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, Choice, Pool
from operators.select.selectors.picking.columns import check_variant
from operators.select.selectors.picking.compression import FORMS, List, RowBytes
from operators.settings import setting

MARK = 1e6  # the ratio that the official code gives to rows which have been in stage three
READ = 512  # rows held at a time: k1 long ones may be more than memory holds


@dataclass
class ZipConfig:
    """How many rows each stage passes on to the next."""

    k1: int = setting(10_000, "stage one: rows with the lowest ratios, measured anew behind all that is chosen")
    k2: int = setting(200, "stage two: the lowest of these go on")
    k3: int = setting(100, "stage three: rows chosen one by one, in each round")
    variant: str = setting(
        "default",
        "default, or as_released: the official code on Python's str() of the records, which loses and repeats rows",
    )

    def __post_init__(self):
        check_variant("zip", self.variant)
        if not self.k1 >= self.k2 >= self.k3 >= 1:
            raise BadRequest(
                f"zip.k1={self.k1}, zip.k2={self.k2}, zip.k3={self.k3}: each stage takes from the one before, so give "
                "k1 >= k2 >= k3 >= 1."
            )


class Zip:
    """Choose rows that say much: the worse a list compresses, the more it holds.

    `ratio(L)` is bytes of L / bytes of L compressed (zlib, level 9). Each row has a ratio, at first its own alone. A round takes
    the `k1` rows with the lowest, measures them anew behind all that is chosen, and keeps the `k2` lowest of them. Of these it
    moves `k3` one by one to a list that begins empty: each time the row with which that list has the lowest ratio. Equal ratios:
    the earliest position. Stages shrink to the rows that are left; the last round stops at the budget. RowBytes without text are
    excluded as `empty`. Scores are the ratios of stage three.

    `variant=as_released` is the official code (USTC-StarTeam/ZIP) but for its undefined ties: Python's str() of the records,
    float32, whole rounds, and all `k2` rows out of the game by a high ratio, which is no more than a ratio: where fewer than
    `k1` rows are without it, some are chosen twice. The choice leaves repeats out, so it may be shorter than the budget, and
    longer where the budget is no multiple of `k3`; `notes` has both counts. Empty records are rows like others there.
    """

    Config = ZipConfig
    asks = ()

    def __init__(self, config: ZipConfig):
        self.config = config
        self._released = config.variant == "as_released"
        self._form = FORMS["repr" if self._released else "text"]
        self.reads = (self._form.column,)

    def __call__(self, pool: Pool, budget: Budget) -> Choice:
        if self._released:
            self._check(pool.rows, budget)
        threads = len(os.sched_getaffinity(0))
        with RowBytes() as rows, ThreadPoolExecutor(threads) as executor:
            new_list = partial(List, self._form, executor, threads)
            ratios_N = self._alone(pool, rows, new_list())
            return self._choose(rows, ratios_N, new_list, budget)

    def _check(self, rows: int, budget: Budget) -> None:
        if budget.config.tokens is not None:
            raise BadRequest("zip.variant=as_released chooses whole rounds of rows. Give budget.rows or budget.share.")
        if rows < self.config.k1:
            raise BadRequest(
                f"zip.variant=as_released needs zip.k1={self.config.k1:,} rows, and the pool has {rows:,}: there the official "
                "code fails. Lower zip.k1, or take zip.variant=default, whose stages shrink."
            )

    def _alone(self, pool: Pool, rows: RowBytes, empty: List) -> np.ndarray:
        """Give each row's ratio alone (N), infinite where it holds nothing; their bytes go to `rows`."""
        ratios = [np.empty(0)]
        for table in pool.columns(self._form.column):
            part = [self._form.row(value or "") for value in table[self._form.column].to_pylist()]
            rows.extend(part)
            ratios.append(np.where([len(row) == 0 for row in part], math.inf, empty.ratios(part)))
        return np.concatenate(ratios).astype(np.float32 if self._released else np.float64)

    def _choose(self, rows: RowBytes, ratios_N: np.ndarray, new_list: Callable[[], List], budget: Budget) -> Choice:
        eligible = int(np.isfinite(ratios_N).sum())
        wanted, gathered, rounds = budget.rows(eligible), new_list(), 0
        positions, scores = np.empty(0, np.int64), np.empty(0)
        while len(budget.prefix(positions)) == len(positions) < wanted:
            left = eligible if self._released else eligible - len(positions)
            most = self.config.k3 if self._released else min(self.config.k3, wanted - len(positions))
            measured = _lowest(ratios_N, min(self.config.k1, left))
            if rounds:  # behind nothing the ratio is that of the row alone
                for start in range(0, len(measured), READ):
                    part = measured[start : start + READ]
                    ratios_N[part] = gathered.ratios(rows.read(part))
            finalists = measured[_lowest(ratios_N[measured], self.config.k2)]
            picked, picked_scores = _one_by_one(rows, finalists, new_list(), most, ratios_N.dtype)
            ratios_N[finalists if self._released else picked] = MARK if self._released else math.inf
            for row in rows.read(picked):
                gathered.append(row)
            positions, scores, rounds = np.append(positions, picked), np.append(scores, picked_scores), rounds + 1
        first = np.sort(np.unique(budget.prefix(positions), return_index=True)[1])
        notes = {"variant": self.config.variant, "zlib": zlib.ZLIB_RUNTIME_VERSION, "rounds": rounds}
        if self._released:
            notes |= {"picked": len(positions), "picked_once": len(first)}
        excluded = {"empty": len(ratios_N) - eligible} if eligible < len(ratios_N) else {}
        return Choice(positions[first], scores[first], excluded, notes)


def _one_by_one(rows: RowBytes, finalists: np.ndarray, chosen: List, most: int, dtype) -> tuple[list[int], list[float]]:
    """Move rows to a list while it compresses least. Returns their positions and the ratios of the list, in that order."""
    left = dict(zip(finalists.tolist(), rows.read(finalists), strict=True))
    picked, ratios = [], []
    while left and len(picked) < most:
        ratios_K = chosen.ratios(list(left.values())).astype(dtype)
        best = int(np.argmin(ratios_K))
        picked.append(list(left)[best])
        ratios.append(float(ratios_K[best]))
        chosen.append(left.pop(picked[-1]))
    return picked, ratios


def _lowest(ratios: np.ndarray, count: int) -> np.ndarray:
    """Find the lowest ratios, of equal ones the first: their places, ascending."""
    if count >= len(ratios):
        return np.arange(len(ratios))
    highest = np.partition(ratios, count - 1)[count - 1]
    below, equal = np.flatnonzero(ratios < highest), np.flatnonzero(ratios == highest)
    return np.sort(np.concatenate([below, equal[: count - len(below)]]))
