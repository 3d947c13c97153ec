"""How many rows each cluster gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.select.selectors.picking.quotas import quotas


def test_what_small_clusters_cannot_give_is_shared_again_and_the_rest_goes_by_number():
    assert quotas([1, 5, 10], 8, "equal").tolist() == [1, 4, 3]


def test_sqrt_gives_in_proportion_to_the_root_of_the_size():
    assert quotas([100, 400, 900], 60, "sqrt").tolist() == [10, 20, 30]


def test_whole_shares_are_given_whole_though_roots_are_rounded():
    # 96 rows in proportion to 2, 4, 1, 2, 6: 12.8 25.6 6.4 12.8 38.4, of which the first four give 8, 25, 2, 8 and the last 38;
    # then 15 in proportion to 4 and 6, which is 6 and 9.
    assert quotas([8, 32, 2, 8, 72], 96, "sqrt").tolist() == [8, 31, 2, 8, 47]


@pytest.mark.parametrize("rule", ["equal", "sqrt"])
@given(sizes=st.lists(st.integers(0, 40), max_size=12), rows=st.integers(0, 300))
def test_quotas_sum_to_the_budget_and_respect_the_sizes(rule, sizes, rows):
    given_out = quotas(sizes, rows, rule)
    assert given_out.sum() == min(rows, sum(sizes))
    assert (given_out <= np.array(sizes, np.int64)).all()


@given(sizes=st.lists(st.integers(0, 30), max_size=9), rows=st.integers(0, 200))
def test_equal_quotas_are_those_of_clusters_that_give_in_turns(sizes, rows):
    turns = [cluster for turn in range(max(sizes, default=0)) for cluster, size in enumerate(sizes) if turn < size][
        :rows
    ]
    assert quotas(sizes, rows, "equal").tolist() == [turns.count(cluster) for cluster in range(len(sizes))]


@given(size=st.integers(1, 50), clusters=st.integers(1, 60), turns=st.integers(0, 50))
def test_clusters_of_one_size_give_the_same_by_either_rule(size, clusters, turns):
    rows = min(size, turns) * clusters
    assert len(set(quotas([size] * clusters, rows, "sqrt").tolist())) == 1
