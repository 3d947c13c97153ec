"""The DEITA filter beside a loop that compares each row with all kept ones."""

import numpy as np
import pytest

from operators.errors import BadRequest
from operators.select.selectors import deita
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.deita import Deita, DeitaConfig
from tests.operators.select.selectors.pools import MemoryPool


def plain_filter(rows_ND, scores, threshold, budget):
    """The definition: best first, a row only if its largest cosine to the kept ones is at most the threshold."""
    rows_ND, kept = rows_ND.astype(float), []
    for row in sorted(range(len(scores)), key=lambda row: (-scores[row], row)):
        cosines = [
            (rows_ND[row] * rows_ND[other]).sum()
            / (np.sqrt(np.square(rows_ND[row]).sum()) * np.sqrt(np.square(rows_ND[other]).sum()))
            for other in kept
        ]
        if max(cosines, default=-2) <= threshold:
            kept.append(row)
    return kept[:budget]


def choose(rows_ND, complexity, quality, budget, threshold=0.9, **more):
    pool = MemoryPool({"complexity": complexity, "quality": quality}, {"embedding": rows_ND})
    budget = Budget(BudgetConfig(rows=budget, **more)) if isinstance(budget, int) else budget
    return Deita(DeitaConfig(threshold))(pool, budget)


def crowd(rows=300, seed=0):
    """Rows around few directions, so that many are alike, with scores of few values."""
    dice = np.random.default_rng(seed)
    rows_ND = dice.standard_normal((25, 5))[dice.integers(0, 25, rows)] + 0.3 * dice.standard_normal((rows, 5))
    return rows_ND.astype(np.float32), dice.integers(1, 6, rows).astype(float), dice.integers(1, 6, rows).astype(float)


@pytest.mark.parametrize("block", [1, 16, 512])
@pytest.mark.parametrize("threshold", [0.3, 0.9, 0.99])
def test_rows_kept_are_those_of_the_plain_loop(monkeypatch, block, threshold):
    monkeypatch.setattr(deita, "ROWS", block)
    monkeypatch.setattr(deita, "KEPT", 20)
    rows_ND, complexity, quality = crowd()
    expected = plain_filter(rows_ND, complexity * quality, threshold, 300)
    for budget in (0, 1, len(expected) - 1, len(expected)):
        choice = choose(rows_ND, complexity, quality, budget, threshold)
        assert choice.positions.tolist() == expected[:budget]
        assert choice.scores.tolist() == (complexity * quality)[choice.positions].tolist()


@pytest.mark.parametrize("block", [1, 512])
def test_a_cosine_at_the_threshold_is_kept_and_one_just_above_is_not(monkeypatch, block):
    monkeypatch.setattr(deita, "ROWS", block)
    for seed in range(20):
        pair = np.random.default_rng(seed).standard_normal((2, 64)).astype(np.float32)
        left, right = pair.astype(float)
        cosine = (left * right).sum() / (np.sqrt(np.square(left).sum()) * np.sqrt(np.square(right).sum()))
        assert len(choose(pair, [2.0, 1.0], [1.0, 1.0], 2, float(cosine)).positions) == 2
        below = float(np.nextafter(cosine, -1))
        assert choose(pair, [2.0, 1.0], [1.0, 1.0], 2, below, allow_short=True).positions.tolist() == [0]


def test_copies_are_kept_once_and_counted():
    rows_ND, complexity, quality = (np.repeat(part, 4, axis=0) for part in crowd(30))
    choice = choose(rows_ND, complexity, quality, 120, 0.999999, allow_short=True)
    assert choice.positions.tolist() == plain_filter(rows_ND, complexity * quality, 0.999999, 120)
    assert choice.notes["too_similar"] == 120 - len(choice.positions) >= 90


def test_too_few_rows_that_differ_are_told():
    with pytest.raises(BadRequest, match="allow_short=true"):
        choose(np.ones((5, 3), np.float32), [1.0] * 5, [1.0] * 5, 2)


def test_rows_without_score_or_embedding_are_counted_and_never_kept():
    rows_ND, complexity, quality = crowd(40)
    rows_ND[3] = np.nan
    complexity = [None if row == 8 else value for row, value in enumerate(complexity)]
    choice = choose(rows_ND, complexity, quality, 38, threshold=1.0)
    assert choice.excluded == {"not_finite": 1, "no_score": 1} and not {3, 8} & set(choice.positions.tolist())


def test_a_budget_of_tokens_is_a_prefix():
    rows_ND, complexity, quality = crowd()
    tokens = np.arange(300) % 5 + 1
    whole = plain_filter(rows_ND, complexity * quality, 0.9, 300)
    chosen = choose(rows_ND, complexity, quality, Budget(BudgetConfig(tokens=30), tokens)).positions.tolist()
    assert chosen == whole[: len(chosen)] and tokens[chosen].sum() <= 30 < tokens[whole[: len(chosen) + 1]].sum()


def test_a_threshold_that_is_no_cosine_is_refused():
    with pytest.raises(BadRequest, match="from -1 to 1, got 90"):
        DeitaConfig(90)
