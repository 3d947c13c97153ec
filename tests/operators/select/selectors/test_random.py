from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.select.selectors import random as by_chance
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.picking.ranking import hashes
from operators.select.selectors.random import Random, RandomConfig, shares
from tests.operators.select.selectors.pools import MemoryPool


def pool(rows, part_rows=3, **columns):
    return MemoryPool({"id": [f"row-{row}" for row in range(rows)], **columns}, part_rows=part_rows)


def choose(pool, rows, **config):
    return Random(RandomConfig(**config))(pool, Budget(BudgetConfig(rows=rows))).positions.tolist()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 40), st.integers(1, 9), st.integers(0, 3))
def test_the_smallest_hashes_are_chosen_however_the_pool_is_cut(rows, part_rows, seed):
    by_hash = np.argsort(hashes(seed, [f"row-{row}" for row in range(rows)]), kind="stable").tolist()
    for budget in {0, 1, rows // 2, rows} & set(range(rows + 1)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(by_chance, "ROWS_IN_WAITING", 2)
            assert choose(pool(rows, part_rows), budget, seed=seed) == by_hash[:budget]


def test_equal_hashes_go_by_id(monkeypatch):
    monkeypatch.setattr(by_chance, "hashes", lambda seed, ids: np.zeros(len(ids), np.uint64))
    assert choose(MemoryPool({"id": ["d", "b", "c", "a"]}), 3) == [3, 1, 2]


def test_a_larger_budget_holds_the_smaller_and_a_seed_is_a_choice_of_its_own():
    small, large = choose(pool(500), 40), choose(pool(500), 90)
    assert large[:40] == small != choose(pool(500), 40, seed=1)


def test_the_choice_goes_with_the_ids_not_with_the_order_of_the_rows():
    ids = [f"row-{row}" for row in range(100)]
    assert {ids[row] for row in choose(pool(100), 10)} == {
        ids[::-1][row] for row in choose(MemoryPool({"id": ids[::-1]}), 10)
    }


def test_every_row_is_chosen_as_often():
    chosen = np.bincount([row for seed in range(2000) for row in choose(pool(20, 20), 5, seed=seed)], minlength=20)
    assert ((chosen - 500) ** 2 / (500 * 0.75)).sum() * 19 / 20 < 43.8  # chi-square, 19 degrees of freedom


def test_a_budget_of_tokens_cuts_the_same_order():
    budget = Budget(BudgetConfig(tokens=7), np.full(30, 2))
    assert Random(RandomConfig())(pool(30), budget).positions.tolist() == choose(pool(30), 3)


def test_strata_get_their_shares_by_largest_remainder():
    assert shares({"a": 1, "b": 5, "c": 10}, 8) == {
        "a": 1,
        "b": 2,
        "c": 5,
    }  # 0.5, 2.5, 5.0: the first of equal remainders
    assert shares({}, 0) == {}


@given(st.dictionaries(st.text(max_size=2), st.integers(1, 50), min_size=1), st.data())
def test_shares_sum_up_and_fit(sizes, data):
    total = data.draw(st.integers(0, sum(sizes.values())))
    quotas, exact = shares(sizes, total), {name: total * size / sum(sizes.values()) for name, size in sizes.items()}
    assert sum(quotas.values()) == total
    assert all(abs(quotas[name] - exact[name]) < 1 and quotas[name] <= size for name, size in sizes.items())


def test_missing_values_are_a_stratum_and_inside_one_chance_decides():
    kinds = pa.array(["code", None, "talk", "code", "code", None, "code", "code"] * 10)
    rows = pool(80, **{"record.kind": kinds})
    choice = Random(RandomConfig(stratify="kind"))(rows, Budget(BudgetConfig(rows=16)))
    chosen = choice.positions.tolist()
    assert Counter(kinds[row].as_py() for row in chosen) == {"code": 10, None: 4, "talk": 2}
    order = choose(rows, 80)
    for kind, quota in (("code", 10), (None, 4), ("talk", 2)):
        expected = [row for row in order if kinds[row].as_py() == kind][:quota]
        assert [row for row in chosen if kinds[row].as_py() == kind] == expected
    assert choice.notes["strata"] == {'"code"': "10 of 50", '"talk"': "2 of 10", "null": "4 of 20"}


def test_any_first_part_of_a_stratified_choice_has_the_shares():
    kinds = ["a"] * 60 + ["b"] * 30 + ["c"] * 10
    budget = Budget(BudgetConfig(tokens=50), np.ones(100, np.int64))
    rows = pool(100, **{"record.kind": kinds})
    chosen = Random(RandomConfig(stratify="kind"))(rows, budget).positions.tolist()
    for first in range(1, 51):
        for kind, share in (("a", 0.6), ("b", 0.3), ("c", 0.1)):
            assert abs(sum(kinds[row] == kind for row in chosen[:first]) - share * first) < 1.5
