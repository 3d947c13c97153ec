"""DSIR: rows drawn so that their words come out as those of a target (importance resampling, arXiv:2302.03169).

Shapes: B rows of one part, G grams of these rows, H buckets.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, Choice, Pool
from operators.select.selectors.picking.ranking import GumbelConfig, Scored, ranked
from operators.settings import setting

BUCKETS = 1 << 16  # as many as a bucket's number of 16 bits tells apart
FLOOR = 1e-8  # added to both probabilities before the logarithm, as the official code does: a bucket may be empty
TAU = 1.0  # rows are resampled with their importance weights themselves


@dataclass
class DsirConfig:
    """Which rows may be drawn, and how the target is smoothed."""

    min_words: int = setting(
        100, "words of the shortest row that may be chosen: the scores of short ones are too noisy"
    )
    target_pseudocount: float = setting(
        0.0, "added to the target's count of each bucket that rows or target have; 0, as published, smooths nothing"
    )

    def __post_init__(self):
        if not 0 <= self.target_pseudocount < math.inf:
            raise BadRequest(f"dsir.target_pseudocount is a count from 0, got {self.target_pseudocount}.")


class Dsir:
    """Draw rows by importance: score = sum over their grams of log p_target(bucket) - log p_rows(bucket), with Gumbel top-k.

    Reads `ngrams` (operators/select/measure/ngrams.py) of the pool and of the target, measured with the same settings. Both
    distributions count all rows, also those that are `too_short` to be chosen. Where no temperature is given it is 1, which
    draws by the weights themselves; 0 takes the highest scores. A score is a sum in the order of the row's grams: no part of the
    pool changes it by a bit.
    Source: arXiv:2302.03169, section 3; p-lambda/dsir for the floor under the probabilities.
    """

    Config = DsirConfig
    asks = ("gumbel", "target")
    reads = ("id", "ngrams")

    def __init__(self, config: DsirConfig, gumbel: GumbelConfig, target: Pool):
        self.config, self._target = config, target
        self._gumbel = replace(gumbel, tau=TAU if gumbel.tau is None else gumbel.tau)

    def __call__(self, pool: Pool, budget: Budget) -> Choice:
        raw_H, target_H = _counts(pool), _counts(self._target)
        if not target_H.any():
            raise BadRequest("the target of dsir has no words. Give rows with text as its target.")
        used = np.flatnonzero(raw_H + target_H)
        target_H[used] += self.config.target_pseudocount
        weights_H = np.zeros(BUCKETS)
        weights_H[used] = _log_probabilities(target_H[used]) - _log_probabilities(raw_H[used])
        return ranked(lambda: self._scored(pool, weights_H), budget, self._gumbel)

    def _scored(self, pool: Pool, weights_H: np.ndarray) -> Iterator[Scored]:
        for table in pool.columns(*self.reads):
            grams_B, buckets_G = _grams(table)
            rows_G = np.repeat(np.arange(len(grams_B)), grams_B)
            scores_B = np.bincount(rows_G, weights=weights_H[buckets_G], minlength=len(grams_B))
            known = pc.is_valid(table["ngrams"]).to_numpy()
            long = (grams_B + 1) // 2 >= self.config.min_words  # w words are 2w - 1 grams
            reasons = np.where(known, "too_short", "no_ngrams")
            yield Scored(table["id"].to_pylist(), np.where(known & long, scores_B, math.nan), reasons)


def _log_probabilities(counts: np.ndarray) -> np.ndarray:
    return np.log(counts / max(counts.sum(), 1.0) + FLOOR)


def _counts(pool: Pool) -> np.ndarray:
    """Count the grams of all rows by bucket: float64 (H)."""
    counts_H = np.zeros(BUCKETS)
    for table in pool.columns("ngrams"):
        counts_H += np.bincount(_grams(table)[1], minlength=BUCKETS)
    return counts_H


def _grams(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Give how many grams each row has (B), 0 where they are missing, and the buckets of all, one row after the other (G)."""
    grams = table["ngrams"]
    return pc.fill_null(pc.list_value_length(grams), 0).to_numpy(), pc.list_flatten(grams).to_numpy()
