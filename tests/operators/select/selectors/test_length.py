import numpy as np
import pyarrow as pa
import pytest

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.length import Length, LengthConfig
from operators.select.selectors.picking.ranking import GumbelConfig
from tests.operators.select.selectors.pools import MemoryPool

TOKENS = {
    "answer_tokens": pa.array([5, 9, None, 2, 9, 7], pa.int32()),
    "prompt_tokens": pa.array([1, 2, 3, 4, 5, 6], pa.int32()),
    "tokens": pa.array([6, 11, 10, 6, 14, 13], pa.int32()),
}


def choose(rows, gumbel=None, **config):
    return Length(LengthConfig(**config), gumbel)(MemoryPool(TOKENS), Budget(BudgetConfig(rows=rows)))


def test_the_longest_answers_first_and_a_row_without_a_count_never():
    choice = choose(5)
    assert choice.positions.tolist() == [1, 4, 5, 0, 3]
    assert choice.scores.tolist() == [9, 9, 7, 5, 2]
    assert choice.excluded == {"no_tokens": 1}


def test_the_shortest_and_other_counts():
    assert choose(2, order="shortest").positions.tolist() == [3, 0]
    assert choose(2, of="prompt").positions.tolist() == [5, 4]
    assert choose(2, of="total", order="shortest").positions.tolist() == [0, 3]


def test_a_range_leaves_out_the_others_by_name():
    choice = choose(2, min=5, max=8)
    assert choice.positions.tolist() == [5, 0]
    assert choice.excluded == {"out_of_range": 3, "no_tokens": 1}


def test_random_rows_of_a_range_follow_the_seed():
    drawn = {tuple(choose(2, order="random", min=5, seed=seed).positions.tolist()) for seed in range(40)}
    assert {row for pair in drawn for row in pair} == {0, 1, 4, 5} and len(drawn) == 12
    assert (
        choose(2, order="random", seed=3).positions.tolist() == choose(3, order="random", seed=3).positions.tolist()[:2]
    )
    assert choose(2, order="random").scores is None


def test_gumbel_draws_short_rows_where_short_ones_are_wanted():
    firsts = [int(choose(1, GumbelConfig(1.0, seed), order="shortest").positions[0]) for seed in range(200)]
    assert np.bincount(firsts, minlength=6).argmax() == 3 and len(set(firsts)) > 1


@pytest.mark.parametrize("config", [{"of": "title"}, {"order": "middle"}, {"min": 5, "max": 4}])
def test_a_setting_that_cannot_be_is_refused(config):
    with pytest.raises(BadRequest, match="length"):
        LengthConfig(**config)
