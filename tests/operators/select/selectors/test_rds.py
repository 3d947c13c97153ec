"""RDS+ beside the algorithm on the full matrix of cosines."""

import numpy as np
import pytest

from operators.errors import BadRequest
from operators.select.selectors import rds
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.rds import Rds, RdsConfig
from tests.operators.select.selectors.pools import MemoryPool


def plain_turns(rows_ND, target_TD, budget):
    """The definition: every cosine in float64, sorted for each target row, which take turns."""
    rows_ND, target_TD = rows_ND.astype(float), target_TD.astype(float)
    norms_N, norms_T = (np.sqrt(np.square(matrix).sum(axis=1)) for matrix in (rows_ND, target_TD))
    picks = []
    cosines = [
        (rows_ND * target).sum(axis=1) / (norms_N * norm) for target, norm in zip(target_TD, norms_T, strict=True)
    ]
    orders = [np.argsort(-cosine, kind="stable").tolist() for cosine in cosines]
    while len(picks) < budget:
        for order in orders:
            if len(picks) < budget:
                picks.append(next(row for row in order if row not in picks))
    return picks


def pool(rows_ND):
    return MemoryPool({}, {"weighted_embedding": rows_ND})


def choose(rows_ND, target_TD, budget):
    return Rds(RdsConfig(), pool(target_TD))(pool(rows_ND), Budget(BudgetConfig(rows=budget)))


def points(rows, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, 8)).astype(np.float32)


@pytest.mark.parametrize("per_target", [1, 4, 1024])
@pytest.mark.parametrize("budget", [0, 1, 50, 200])
def test_picks_are_those_of_the_full_matrix(monkeypatch, per_target, budget):
    monkeypatch.setattr(rds, "PER_TARGET", per_target)
    monkeypatch.setattr(rds, "ROWS", 64)
    rows_ND, target_TD = points(200), points(7, seed=1)
    assert choose(rows_ND, target_TD, budget).positions.tolist() == plain_turns(rows_ND, target_TD, budget)


@pytest.mark.parametrize("per_target", [2, 16])
def test_copies_go_by_position_also_where_they_are_more_than_are_kept(monkeypatch, per_target):
    monkeypatch.setattr(rds, "PER_TARGET", per_target)
    rows_ND = points(6)[np.random.default_rng(0).integers(0, 6, 120)]
    rows_ND *= (2.0 ** np.random.default_rng(1).integers(-2, 3, (120, 1))).astype(np.float32)
    target_TD = points(3, seed=1)
    assert choose(rows_ND, target_TD, 120).positions.tolist() == plain_turns(rows_ND, target_TD, 120)


@pytest.mark.parametrize("per_target", [1, 8, 1024])
def test_cosines_closer_than_float32_tells_are_told_apart(monkeypatch, per_target):
    monkeypatch.setattr(rds, "PER_TARGET", per_target)
    dice = np.random.default_rng(0)
    target_TD, one_D = dice.standard_normal((1, 64)).astype(np.float32), dice.standard_normal(64)
    rows_ND = (one_D + 1e-6 * dice.standard_normal((300, 64))) * dice.uniform(1, 2, (300, 1))
    rows_ND = rows_ND.astype(np.float32)
    assert choose(rows_ND, target_TD, 300).positions.tolist() == plain_turns(rows_ND, target_TD, 300)


def test_scores_are_the_cosines_and_rows_of_the_target_set_are_told():
    rows_ND = points(30)
    target_TD = np.concatenate([rows_ND[[4]], points(1, seed=3)])
    choice = choose(rows_ND, target_TD, 10)
    assert choice.positions[0] == 4 and choice.scores[0] == pytest.approx(1)
    assert choice.notes["chosen_like_a_target_row"] == 1


def test_rows_without_an_embedding_are_left_out_on_either_side():
    rows_ND, target_TD = points(20), points(3, seed=1)
    rows_ND[2], target_TD[1, 3] = np.nan, np.nan
    choice = choose(rows_ND, target_TD, 19)
    assert choice.excluded == {"not_finite": 1} and choice.notes["target_rows_not_finite"] == 1
    kept = np.delete(np.arange(20), 2)
    assert choice.positions.tolist() == kept[plain_turns(rows_ND[kept], target_TD[[0, 2]], 19)].tolist()
    with pytest.raises(BadRequest, match="none of the 3 target rows"):
        choose(rows_ND, np.full((3, 8), np.nan, np.float32), 1)
