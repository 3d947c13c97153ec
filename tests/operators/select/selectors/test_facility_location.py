"""Facility location beside the greedy algorithm that computes every gain for every pick."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.facility_location import FacilityLocation, FacilityLocationConfig, lazy_greedy
from tests.operators.select.selectors.pools import MemoryPool


def plain_greedy(similarity_RC, count):
    """The definition: all gains for every pick, the largest, ties by the earliest."""
    covered_R, picks = np.zeros(len(similarity_RC)), []
    for _ in range(count):
        gains = np.maximum(similarity_RC - covered_R[:, None], 0).sum(axis=0)
        gains[picks] = -1
        picks.append(int(gains.argmax()))
        covered_R = np.maximum(covered_R, similarity_RC[:, picks[-1]])
    return picks


def cosines(rows_ND):
    """Cosines in float64, kept as float32: 1 with itself, and the same from either side."""
    rows_ND = rows_ND.astype(float)
    norm_N = np.sqrt(np.square(rows_ND).sum(axis=1))
    cosine_NN = (rows_ND[:, None] * rows_ND[None]).sum(axis=2) / (norm_N[:, None] * norm_N)
    np.fill_diagonal(cosine_NN, 1)
    return cosine_NN.astype(np.float32).astype(float)


def choose(rows_ND, budget, **settings):
    pool = MemoryPool({}, {"embedding": rows_ND})
    config = BudgetConfig(rows=budget) if isinstance(budget, int) else budget
    return FacilityLocation(FacilityLocationConfig(**settings))(pool, Budget(config))


def points(rows=150, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, 6)).astype(np.float32)


@settings(max_examples=80, deadline=None)
@given(arrays(np.float32, st.tuples(st.integers(1, 12), st.integers(1, 9)), elements=st.integers(-2, 3)))
def test_lazy_picks_are_those_of_the_plain_greedy_ties_included(similarity_RC):
    rows, candidates = similarity_RC.shape
    number_RJ = np.tile(np.arange(candidates), (rows, 1))
    picks = [number for number, _ in lazy_greedy(similarity_RC, number_RJ, candidates)]
    assert picks == plain_greedy(similarity_RC.astype(float), candidates)


@pytest.mark.parametrize("budget", [0, 1, 25, 150])
def test_with_all_neighbours_it_is_the_exact_objective(budget):
    choice = choose(points(), budget, neighbours=150)
    assert choice.positions.tolist() == plain_greedy(np.maximum(cosines(points()), 0), budget)


def test_gains_add_up_to_the_objective():
    choice = choose(points(), 20, neighbours=1000)
    objective = np.maximum(cosines(points())[:, choice.positions], 0).max(axis=1).sum()
    assert choice.scores.sum() == pytest.approx(objective, rel=1e-5)
    assert (np.diff(choice.scores) <= 0).all()


def test_with_few_neighbours_all_other_similarities_count_as_nothing():
    similarity = np.maximum(cosines(points()), 0)
    similarity[similarity < np.sort(similarity, axis=1)[:, [-10]]] = 0
    assert choose(points(), 40, neighbours=10).positions.tolist() == plain_greedy(similarity, 40)


def test_copies_are_not_taken_while_there_is_something_new():
    copied = np.repeat(points(20), 30, axis=0)
    choice = choose(copied, 25, neighbours=5)
    assert len(np.unique(choice.positions[:20] // 30)) == 20


def test_shards_choose_nearly_as_well_the_same_each_time_and_all_different():
    rows_ND = points(400)
    whole, shards = choose(rows_ND, 30, neighbours=400), choose(rows_ND, 30, neighbours=400, shards=4)
    assert shards.positions.tolist() == choose(rows_ND, 30, neighbours=400, shards=4).positions.tolist()
    assert len(set(shards.positions.tolist())) == 30
    assert shards.notes["candidates"] == 120
    assert 0.95 * whole.scores.sum() < shards.scores.sum() <= whole.scores.sum() * 1.01


def test_rows_without_an_embedding_are_counted_and_never_chosen():
    rows_ND = points(40)
    rows_ND[5], rows_ND[6, 1] = np.nan, -np.inf
    choice = choose(rows_ND, 38)
    assert choice.excluded == {"not_finite": 2} and not {5, 6} & set(choice.positions.tolist())
    with pytest.raises(BadRequest, match="only 38 rows"):
        choose(rows_ND, 39)


def test_one_row_and_rows_of_zeros_and_copies_that_add_nothing():
    assert choose(np.ones((1, 3), np.float32), 1).positions.tolist() == [0]
    assert choose(np.zeros((4, 3), np.float32), 4).positions.tolist() == [0, 1, 2, 3]
    copies = choose(np.ones((4, 3), np.float32), 4)
    assert copies.positions.tolist() == [0, 1, 2, 3] and copies.notes["without_gain"] == 3
