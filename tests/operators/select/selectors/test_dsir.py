import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.dsir import Dsir, DsirConfig
from operators.select.selectors.picking.ranking import GumbelConfig
from tests.operators.select.selectors.pools import MemoryPool

HARD = GumbelConfig(tau=0)
ROWS = st.lists(st.none() | st.lists(st.integers(0, 30), max_size=9), max_size=20)


def pool(rows, part_rows=3):
    return MemoryPool({"ngrams": pa.array(rows, pa.list_(pa.uint16()))}, part_rows=part_rows)


def choose(rows, target, count, gumbel=HARD, part_rows=3, **config):
    budget = Budget(BudgetConfig(rows=count, allow_short=True))
    return Dsir(DsirConfig(**{"min_words": 1} | config), gumbel, pool(target))(pool(rows, part_rows), budget)


def naive_scores(rows, target, pseudocount=0.0):
    """Log importance weights, one gram after the other."""
    raw, wanted = (Counter(gram for row in many if row for gram in row) for many in (rows, target))
    wanted = Counter({gram: wanted[gram] + pseudocount for gram in {*raw, *wanted}})

    def log(counts, gram):
        return math.log(counts[gram] / counts.total() + 1e-8)

    return {place: sum(log(wanted, gram) - log(raw, gram) for gram in row) for place, row in enumerate(rows) if row}


@settings(deadline=None)
@given(
    ROWS,
    st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=9), min_size=1, max_size=4),
    st.sampled_from([0, 0.5, 1]),
)
def test_scores_are_the_log_importance_weights(rows, target, pseudocount):
    choice = choose(rows, target, 20, target_pseudocount=pseudocount)
    wanted = naive_scores(rows, target, pseudocount)
    found = dict(zip(choice.positions.tolist(), choice.scores.tolist(), strict=True))
    assert found == pytest.approx(wanted, rel=1e-12, abs=1e-9)
    assert list(found.values()) == sorted(found.values(), reverse=True)


@settings(deadline=None)
@given(ROWS, st.integers(1, 7))
def test_parts_change_neither_rows_nor_a_bit_of_a_score(rows, part_rows):
    one, other = (choose(rows, [[1, 2, 3]], 9, GumbelConfig(seed=3), parts) for parts in (20, part_rows))
    assert one.positions.tolist() == other.positions.tolist()
    assert one.scores.tolist() == other.scores.tolist()


def test_rows_like_the_target_come_first():
    rows = [[1, 2, 3], [7, 8, 9], [1, 8, 3], [7, 2, 9]]
    assert choose(rows, [[7, 8, 9, 7]], 2).positions.tolist() == [1, 3]


def test_short_rows_and_rows_without_grams_are_named():
    rows = [[1] * 5, [1] * 7, None, [1] * 6, []]  # 3 and 4 words, none, 3 and 0
    choice = choose(rows, [[1]], 5, min_words=4)
    assert choice.positions.tolist() == [1]
    assert choice.excluded == {"too_short": 3, "no_ngrams": 1}


def test_rows_are_drawn_by_their_importance_where_no_temperature_is_given():
    rows, target = [[1], [2], [3]], [[1, 1, 1, 2, 2, 3]]
    weights = np.array([3, 2, 1]) / 6
    seeds = range(900)
    firsts = [int(choose(rows, target, 1, GumbelConfig(seed=seed)).positions[0]) for seed in seeds]
    seen, wanted = np.bincount(firsts, minlength=3), weights * len(seeds)
    assert ((seen - wanted) ** 2 / wanted).sum() < 13.8  # chi-square, 2 degrees of freedom: one in a thousand


def test_a_larger_budget_holds_the_smaller():
    rows = np.random.default_rng(0).integers(0, 50, (100, 7)).tolist()
    small, large = (choose(rows, [[1, 2, 3, 4]], count, GumbelConfig()).positions.tolist() for count in (10, 30))
    assert large[:10] == small


def test_a_target_without_words_is_refused():
    with pytest.raises(BadRequest, match="target"):
        choose([[1]], [[], None], 1)


def test_a_negative_pseudocount_is_refused():
    with pytest.raises(BadRequest, match="pseudocount"):
        DsirConfig(target_pseudocount=-1)
