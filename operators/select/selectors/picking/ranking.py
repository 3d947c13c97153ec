"""Rows in the order of a score, as a stream: the best are kept while the pool goes by. And the same with chance (Gumbel top-k).

Shapes: N rows of the pool, B rows of one part.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, Choice
from operators.settings import setting

NO_SCORE = "no_score"  # why a row cannot be chosen, where nothing else is said
ROWS_IN_WAITING = 65_536  # gathered before they are sorted in among those that lead


@dataclass
class GumbelConfig:
    """Sampling by score in place of a hard cut."""

    tau: float | None = setting(
        None,
        "temperature: rows are drawn without replacement with weights exp(score / tau); 0 takes the highest scores. "
        "Not given: as the selector is published (1 for dsir, 0 for the others)",
    )
    seed: int = setting(0, "seed of what is drawn")

    def __post_init__(self):
        if self.tau is not None and not 0 <= self.tau < math.inf:
            raise BadRequest(f"gumbel.tau is a temperature from 0, got {self.tau}. For the highest scores write 0.")


class Scored(NamedTuple):
    """Rows of one part: ids and scores (B), NaN where a row cannot be chosen, and why (B): a reason; None says no_score."""

    ids: Sequence[str]
    scores: np.ndarray
    reasons: Sequence[str | None] | None = None


def hashes(seed: int, ids: Sequence[str]) -> np.ndarray:
    """Give a number of 64 bits for each id, uint64 (B), the same wherever the id stands."""
    salt = f"{seed}\0".encode()
    digests = b"".join(blake2b(salt + row_id.encode(), digest_size=8).digest() for row_id in ids)
    return np.frombuffer(digests, "<u8")


def uniform(seed: int, ids: Sequence[str]) -> np.ndarray:
    """Draw a number in (0, 1) for each id, float64 (B), from its hash."""
    return ((hashes(seed, ids) >> np.uint64(12)) + 0.5) * 2.0**-52  # 52 bits and a half: never 0, never rounded to 1


def ranked(
    stream: Callable[[], Iterable[Scored | tuple[Sequence[str], np.ndarray]]],
    budget: Budget,
    gumbel: GumbelConfig | None = None,
    *,
    lowest: bool = False,
) -> Choice:
    """Choose the rows with the highest (or lowest) scores, equal ones by position, or draw them by their scores.

    `stream` begins the pool anew each time it is called and gives all its rows in data order, a part at a time, as `Scored`
    (or ids and scores alone). Scores are float64, so whole numbers above 2**53 may come out equal. Memory grows with what is
    chosen; a budget that is a share reads the pool twice.

    With a temperature the key is score / tau + g, g = -log(-log u), u from the hash of seed and id: the largest keys are an
    exact sample without replacement with weights exp(score / tau) (Kool et al., arXiv:1903.06059, section 2.3).
    The scores of the choice are the scores, not the keys. Raises BadRequest for an infinite score and for too few rows.
    """
    tau = (gumbel.tau or 0.0) if gumbel else 0.0
    leaders, excluded, position = _Leaders(_cut(stream, budget)), Counter(), 0
    for ids, scores_B, reasons in (Scored(*part) for part in stream()):
        scores_B = np.asarray(scores_B, np.float64)
        eligible = ~np.isnan(scores_B)
        _check(ids, scores_B)
        reasons = [None] * len(scores_B) if reasons is None else reasons
        excluded.update(str(reasons[row] or NO_SCORE) for row in np.flatnonzero(~eligible))
        keys_B = -scores_B if lowest else scores_B
        if tau:
            keys_B = keys_B / tau - np.log(-np.log(uniform(gumbel.seed, ids)))
        leaders.add(keys_B[eligible], np.flatnonzero(eligible) + position, scores_B[eligible])
        position += len(scores_B)
    positions, scores = leaders.settled()
    positions = budget.prefix(positions[: budget.rows(position - excluded.total(), excluded)])
    notes = {"gumbel_tau": tau, "gumbel_seed": gumbel.seed} if tau else {}
    return Choice(positions, scores[: len(positions)], dict(excluded), notes)


def _cut(stream: Callable[[], Iterable[tuple]], budget: Budget) -> Callable[[np.ndarray], int]:
    """Tell how many of some rows in order may still be chosen when more come."""
    if budget.config.tokens is not None:
        # The first row that is too much stays: it ends the choice, also for rows behind it that would fit.
        return lambda positions: len(budget.prefix(positions)) + 1
    if budget.config.rows is not None:
        return lambda positions: budget.config.rows
    rows = budget.rows(sum(int(np.count_nonzero(~np.isnan(np.asarray(part[1], np.float64)))) for part in stream()))
    return lambda positions: rows


def _check(ids: Sequence[str], scores_B: np.ndarray) -> None:
    infinite = np.flatnonzero(np.isinf(scores_B))
    if len(infinite):
        row = int(infinite[0])
        raise BadRequest(
            f"row {ids[row]} has the score {scores_B[row]}, and {len(infinite) - 1:,} others of this part are infinite too. "
            "A score is a finite number or missing: measure these rows again, or leave them out of the pool."
        )


class _Leaders:
    """The rows with the largest keys of all that were added, equal keys by position. Rows are added in data order."""

    def __init__(self, cut: Callable[[np.ndarray], int]):
        self._cut, self._waiting = cut, 0
        self._parts = [(np.empty(0), np.empty(0, np.int64), np.empty(0))]

    def add(self, keys: np.ndarray, positions: np.ndarray, scores: np.ndarray) -> None:
        self._parts.append((keys, positions, scores))
        self._waiting += len(keys)
        if self._waiting > max(ROWS_IN_WAITING, len(self._parts[0][0])):
            self.settled()

    def settled(self) -> tuple[np.ndarray, np.ndarray]:
        """Sort, forget those that cannot be chosen any more, and give positions and scores of the others."""
        keys, positions, scores = (np.concatenate(arrays) for arrays in zip(*self._parts, strict=True))
        order = np.argsort(-keys, kind="stable")  # those that led stand first, so equal keys stay in data order
        order = order[: self._cut(positions[order])]
        self._parts, self._waiting = [(keys[order], positions[order], scores[order])], 0
        return positions[order], scores[order]
