"""Greedy k-center beside the plain algorithm in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.k_center import KCenter, KCenterConfig
from operators.select.selectors.picking import farthest_first as k_center_greedy
from tests.operators.select.selectors.pools import MemoryPool


def plain_greedy(rows_ND, labelled, count):
    """The definition: every distance of every row to every chosen one, in float64, for every pick."""
    rows_ND, chosen, picks = rows_ND.astype(np.float64), list(labelled), []
    nearest = np.min([np.square(rows_ND - rows_ND[center]).sum(axis=1) for center in chosen], axis=0)
    for _ in range(count):
        nearest[chosen] = -1
        best = int(nearest.argmax())
        chosen.append(best)
        picks.append(best)
        nearest = np.minimum(nearest, np.square(rows_ND - rows_ND[best]).sum(axis=1))
    return picks


def choose(rows_ND, labelled=None, budget=None, part_rows=3, **settings):
    pool = MemoryPool({}, {"embedding": rows_ND}, part_rows=part_rows)
    selector = KCenter(KCenterConfig(**settings), None if labelled is None else np.array(labelled))
    return selector(pool, Budget(BudgetConfig(rows=budget)) if isinstance(budget, int) else budget)


def mixture(rows, dimensions, seed=0, clusters=20):
    dice = np.random.default_rng(seed)
    centers = dice.standard_normal((clusters, dimensions))
    points = centers[dice.integers(0, clusters, rows)] + 0.3 * dice.standard_normal((rows, dimensions))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def test_points_on_a_line_are_picked_farthest_first_and_ties_by_position():
    line = np.array([[0], [1], [4], [9], [10]], np.float32)
    choice = choose(line, labelled=[0], budget=3)
    assert choice.positions.tolist() == [4, 2, 1]
    assert choice.scores.tolist() == [10, 4, 1]
    assert choose(line, labelled=[0], budget=3, variant="as_released").positions.tolist() == [4, 3, 2]


@pytest.mark.parametrize("candidates", [4, 64, 4096])
@pytest.mark.parametrize(("rows", "dimensions", "offset"), [(700, 3, 0), (1500, 40, 0), (900, 16, 300.0)])
def test_picks_are_those_of_the_plain_greedy(monkeypatch, candidates, rows, dimensions, offset):
    monkeypatch.setattr(k_center_greedy, "CANDIDATES", candidates)
    points = mixture(rows, dimensions) + np.float32(offset)
    assert choose(points, labelled=[5], budget=200).positions.tolist() == plain_greedy(points, [5], 200)


@settings(max_examples=60, deadline=None)
@given(
    rows_ND=arrays(np.float32, st.tuples(st.integers(2, 60), st.integers(1, 4)), elements=st.integers(-3, 3)),
    scale=st.sampled_from([1.0, 1e-44, 1e-25, 1e18, 1e38]),
    candidates=st.sampled_from([1, 3, 4096]),
    labelled=st.integers(1, 3),
)
def test_ties_and_equal_rows_go_by_position_at_any_scale(rows_ND, scale, candidates, labelled):
    rows_ND = (rows_ND * np.float32(scale)).astype(np.float32)
    labelled = list(range(min(labelled, len(rows_ND) - 1)))
    whole, k_center_greedy.CANDIDATES = k_center_greedy.CANDIDATES, candidates
    try:
        choice = choose(rows_ND, labelled=labelled, budget=len(rows_ND) - len(labelled))
    finally:
        k_center_greedy.CANDIDATES = whole
    assert choice.positions.tolist() == plain_greedy(rows_ND, labelled, len(rows_ND) - len(labelled))
    assert choice.notes["on_a_chosen_row"] == np.count_nonzero(choice.scores == 0)


def test_sizes_that_differ_by_many_orders_do_not_hide_each_other():
    dice = np.random.default_rng(0)
    points = (dice.standard_normal((400, 5)) * 10.0 ** dice.integers(-12, 19, (400, 1))).astype(np.float32)
    assert choose(points, labelled=[0], budget=399).positions.tolist() == plain_greedy(points, [0], 399)


def test_near_copies_of_labelled_rows_are_not_chosen_first():
    points = mixture(300, 32)
    copies = points[:40] + np.float32(1e-7) * mixture(40, 32, seed=1)
    choice = choose(np.concatenate([points, copies]), labelled=list(range(40)), budget=260)
    assert choice.positions.max() < 300


def test_a_constant_added_to_all_rows_changes_nothing():
    points = np.random.default_rng(0).integers(-50, 50, (400, 6)).astype(np.float32)
    assert choose(points, [0], 100).positions.tolist() == choose(points + 4096, [0], 100).positions.tolist()


def test_half_precision_is_taken_as_it_is():
    points = mixture(300, 12).astype(np.float16)
    assert choose(points, labelled=[3], budget=90).positions.tolist() == plain_greedy(points, [3], 90)


@pytest.mark.parametrize("budget", [0, 1, 5, 30])
def test_as_many_as_asked_all_different_beginning_with_the_random_rows(budget):
    points = mixture(30, 4)
    choice = choose(points, budget=budget, init=3, seed=7)
    assert len(choice.positions) == len(set(choice.positions.tolist())) == budget
    begin = choice.positions[:3].tolist()
    assert np.isnan(choice.scores[:3]).all() and not np.isnan(choice.scores[3:]).any()
    assert choice.positions[3:].tolist() == (plain_greedy(points, begin, budget - 3) if budget > 3 else [])


def test_the_choice_does_not_depend_on_parts_and_a_new_seed_begins_elsewhere():
    points = mixture(60, 4)
    one = choose(points, budget=20, part_rows=60).positions.tolist()
    assert one == choose(points, budget=20, part_rows=7).positions.tolist()
    assert one != choose(points, budget=20, seed=1).positions.tolist()


def test_rows_without_an_embedding_are_counted_and_never_chosen():
    points = mixture(50, 4)
    points[3], points[7, 2], points[9, 0] = np.nan, np.inf, np.nan
    choice = choose(points, labelled=[0, 3], budget=46)
    assert choice.excluded == {"not_finite": 3}
    assert not {0, 3, 7, 9} & set(choice.positions.tolist())
    with pytest.raises(BadRequest, match="only 46 rows"):
        choose(points, labelled=[0], budget=47)


def test_a_budget_of_tokens_is_a_prefix_of_the_picks():
    points, tokens = mixture(900, 4), np.arange(900) % 7 + 1
    choice = choose(points, labelled=[0], budget=Budget(BudgetConfig(tokens=1500), tokens))
    whole = choose(points, labelled=[0], budget=899).positions
    assert choice.positions.tolist() == whole[: len(choice.positions)].tolist()
    spent = np.cumsum(tokens[whole])
    assert spent[len(choice.positions) - 1] <= 1500 < spent[len(choice.positions)]


def test_one_row_only_and_none():
    assert choose(np.ones((1, 3), np.float32), budget=1).positions.tolist() == [0]
    assert choose(np.full((2, 3), np.nan, np.float32), budget=0).positions.tolist() == []


def test_no_first_row_is_refused():
    with pytest.raises(BadRequest, match="from 1, got 0"):
        KCenterConfig(init=0)
