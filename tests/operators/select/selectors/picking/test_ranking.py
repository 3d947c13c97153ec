import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.picking import ranking
from operators.select.selectors.picking.ranking import GumbelConfig, Scored, hashes, ranked, uniform

SCORES = st.lists(st.sampled_from([-1.5, 0.0, 0.25, 1.0, 7.0, float("nan")]), max_size=40)


def names(count, prefix="row"):
    return [f"{prefix}-{row}" for row in range(count)]


def stream(scores, part_rows=7, ids=None):
    scores, ids = np.array(scores, float), ids or names(len(scores))
    return lambda: ((ids[at : at + part_rows], scores[at : at + part_rows]) for at in range(0, len(scores), part_rows))


def rows(count, **more):
    return Budget(BudgetConfig(rows=count, allow_short=True, **more))


def fully_sorted(scores):
    return sorted((row for row, score in enumerate(scores) if score == score), key=lambda row: (-scores[row], row))


@settings(deadline=None)
@given(SCORES, st.integers(0, 45), st.integers(1, 9), st.integers(1, 6))
def test_the_stream_gives_what_a_full_sort_gives_however_it_is_cut(scores, budget, part_rows, waiting):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "ROWS_IN_WAITING", waiting)
        choice = ranked(stream(scores, part_rows), rows(budget))
    assert choice.positions.tolist() == fully_sorted(scores)[:budget]
    assert choice.scores.tolist() == [scores[row] for row in choice.positions]
    assert sum(choice.excluded.values()) == sum(score != score for score in scores)


@settings(deadline=None)
@given(SCORES, st.integers(1, 9), st.integers(1, 6), st.data())
def test_a_budget_of_tokens_ends_at_the_first_row_too_many_however_the_stream_is_cut(scores, part_rows, waiting, data):
    tokens_N = np.array(data.draw(st.lists(st.integers(0, 5), min_size=len(scores), max_size=len(scores))), np.int64)
    budget = Budget(BudgetConfig(tokens=data.draw(st.integers(0, 40)), allow_short=True), tokens_N)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "ROWS_IN_WAITING", waiting)
        choice = ranked(stream(scores, part_rows), budget)
    expected, spent = [], 0
    for row in fully_sorted(scores):
        spent += tokens_N[row]
        if spent > budget.config.tokens:
            break
        expected.append(row)
    assert choice.positions.tolist() == expected


def test_a_share_counts_the_eligible_rows():
    choice = ranked(stream([1, np.nan, 3, np.nan, 2, 5]), Budget(BudgetConfig(share=0.75)))
    assert choice.positions.tolist() == [5, 2, 4]


def test_the_lowest_scores_with_ties_by_position():
    assert ranked(stream([2, 1, 1, 0, 5]), rows(3), lowest=True).positions.tolist() == [3, 1, 2]


def test_reasons_are_counted():
    parts = [Scored(names(3), np.array([1, np.nan, np.nan]), [None, "too_long", None])]
    assert ranked(lambda: parts, rows(1)).excluded == {"too_long": 1, "no_score": 1}


def test_too_few_rows_are_an_error():
    with pytest.raises(BadRequest, match="only 1 rows"):
        ranked(stream([1, np.nan]), Budget(BudgetConfig(rows=2)))
    parts = [Scored(names(3), np.array([1, np.nan, np.nan]), [None, "too_long", "too_long"])]
    with pytest.raises(BadRequest, match=r"only 1 rows are eligible \(could not be chosen: too_long 2\)"):
        ranked(lambda: parts, Budget(BudgetConfig(rows=2)))


@pytest.mark.parametrize("score", [np.inf, -np.inf])
def test_an_infinite_score_is_an_error_that_names_the_row(score):
    with pytest.raises(BadRequest, match="row-8 has the score"):
        ranked(stream([1.0] * 8 + [score]), rows(2))


def test_a_draw_is_in_the_open_interval_and_as_good_as_uniform():
    draws = uniform(3, names(20_000))
    assert draws.min() > 0 and draws.max() < 1
    counts = np.histogram(draws, 20, (0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 43.8  # chi-square, 19 degrees of freedom: one in a thousand
    assert np.array_equal(uniform(3, ["a"]), uniform(3, ["b", "a"])[1:]) and uniform(4, ["a"]) != uniform(3, ["a"])


def test_the_largest_and_the_smallest_hash_are_inside_of_the_interval(monkeypatch):
    monkeypatch.setattr(ranking, "hashes", lambda seed, ids: np.array([0, 2**64 - 1], np.uint64))
    assert uniform(0, ["a", "b"])[0] > 0 and uniform(0, ["a", "b"])[1] < 1


def test_hashes_have_all_their_bits():
    bits = np.unpackbits(hashes(0, names(2000)).view(np.uint8).reshape(-1, 8), axis=1)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.05


def test_the_first_of_a_gumbel_sample_has_the_weights_of_the_scores():
    scores, tau, trials = np.array([0.0, 0.5, 1.0, 2.0]), 0.7, 4000
    wanted = np.exp(scores / tau) / np.exp(scores / tau).sum() * trials
    ids = [names(4, f"trial-{trial}") for trial in range(trials)]
    firsts = [int(ranked(stream(scores, ids=row), rows(1), GumbelConfig(tau)).positions[0]) for row in ids]
    seen = np.bincount(firsts, minlength=4)
    assert ((seen - wanted) ** 2 / wanted).sum() < 16.3  # chi-square, 3 degrees of freedom: one in a thousand


def test_the_second_of_a_gumbel_sample_is_drawn_from_the_others_by_their_weights():
    scores, trials = np.array([0.0, 1.0, 2.0]), 3000
    weights = np.exp(scores)
    pairs = {(first, second): 0 for first in range(3) for second in range(3) if first != second}
    for seed in range(trials):
        pairs[tuple(ranked(stream(scores), rows(2), GumbelConfig(1.0, seed)).positions.tolist())] += 1
    wanted = {
        (first, second): trials * weights[first] / weights.sum() * weights[second] / (weights.sum() - weights[first])
        for first, second in pairs
    }
    assert sum((pairs[pair] - wanted[pair]) ** 2 / wanted[pair] for pair in pairs) < 20.5  # 5 degrees of freedom


def test_a_gumbel_sample_grows_with_the_budget_and_moves_with_its_rows():
    scores = np.random.default_rng(0).normal(size=200)
    ids, gumbel = names(200), GumbelConfig(1.0, seed=5)
    small, large = (ranked(stream(scores), rows(count), gumbel).positions.tolist() for count in (20, 60))
    assert large[:20] == small != fully_sorted(scores)[:20]
    order = np.random.default_rng(1).permutation(200)
    moved = ranked(stream(scores[order], 13, [ids[row] for row in order]), rows(20), gumbel).positions
    assert order[moved].tolist() == small


def test_a_gumbel_sample_gives_scores_not_keys():
    choice = ranked(stream([3.0, 1.0, 2.0]), rows(3), GumbelConfig(1.0, seed=1))
    assert choice.scores.tolist() == [[3.0, 1.0, 2.0][row] for row in choice.positions]
    assert choice.notes == {"gumbel_tau": 1.0, "gumbel_seed": 1}


def test_a_small_temperature_is_a_hard_cut():
    scores = np.random.default_rng(0).permutation(100)
    assert ranked(stream(scores), rows(9), GumbelConfig(1e-3)).positions.tolist() == fully_sorted(scores)[:9]
    assert ranked(stream(scores), rows(9), GumbelConfig(0.0)).positions.tolist() == fully_sorted(scores)[:9]


@pytest.mark.parametrize("tau", [-1.0, float("inf"), float("nan")])
def test_a_temperature_that_is_none_is_refused(tau):
    with pytest.raises(BadRequest, match="tau"):
        GumbelConfig(tau)
