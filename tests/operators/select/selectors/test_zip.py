import gzip
import json
import random
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.errors import BadRequest
from operators.select.selectors import zip as zip_selector
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.zip import Zip, ZipConfig
from tests.operators.select.selectors.pools import MemoryPool

WORDS = "the mill grinds raw corpora into training data 자료 학습 선택 방아 \n ' \" \\ é 1 2 33".split(" ")
TEXTS = st.one_of(
    st.sampled_from(
        ["the mill", "the mill", "자료 학습", "a", "", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 'it\'s "raw"']
    ),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=30).map(" ".join),
)
STAGES = st.tuples(st.integers(1, 12), st.integers(1, 6), st.integers(1, 4)).map(lambda k: sorted(k, reverse=True))


def pool(texts, part_rows=3):
    return MemoryPool(
        {"text": texts, "record": [json.dumps({"id": row, "text": text}) for row, text in enumerate(texts)]},
        part_rows=part_rows,
    )


def choose(texts, budget, stages, **more):
    config = ZipConfig(*stages, variant=more.pop("variant", "default"))
    return Zip(config)(pool(texts, more.pop("part_rows", 3)), Budget(BudgetConfig(rows=budget, **more)))


def ratio(data: bytes) -> float:
    return len(data) / len(zlib.compress(data, 9))


def first_lowest(ratios, count):
    """Positions of the lowest, by (ratio, position)."""
    return sorted(ratios, key=lambda row: (ratios[row], row))[:count]


def naive(texts, budget, k1, k2, k3):
    """The algorithm as published: rows leave when they are chosen; every list is written and compressed as a whole."""

    def joined(rows):
        return "\n\n".join(texts[row] for row in rows).encode()

    state = {row: ratio(joined([row])) for row in range(len(texts)) if texts[row]}
    chosen = []
    while len(chosen) < budget:
        measured = {row: ratio(joined([*chosen, row])) for row in first_lowest(state, k1)}
        state |= measured
        finalists, begun = first_lowest(measured, k2), []
        while finalists and len(begun) < k3 and len(chosen) + len(begun) < budget:
            best = first_lowest({row: ratio(joined([*begun, row])) for row in finalists}, 1)[0]
            begun.append(best)
            finalists.remove(best)
            del state[best]
        chosen += begun
    return chosen


def naive_official(records, budget, k1, k2, k3):
    """The official code's order of work, in float32, with ties by row: whole rounds, used rows only marked."""

    def measure(rows):
        return np.float32(ratio(str([records[row] for row in rows]).encode()))

    state = {row: measure([row]) for row in range(len(records))}
    chosen = []
    while len(chosen) < budget:
        measured = {row: measure([*chosen, row]) for row in first_lowest(state, k1)}
        state |= measured
        finalists, begun = first_lowest(measured, k2), []
        state |= dict.fromkeys(finalists, np.float32(1_000_000))
        while len(begun) < k3:
            left = {row: measure([*begun, row]) for row in finalists if row not in begun}
            begun.append(first_lowest(left, 1)[0])
        chosen += begun
    return chosen


@settings(deadline=None, max_examples=150)
@given(st.lists(TEXTS, max_size=40), STAGES, st.data())
def test_the_rows_of_the_published_algorithm_in_its_order(texts, stages, data):
    budget = data.draw(st.integers(0, sum(map(bool, texts))))
    choice = choose(texts, budget, stages, part_rows=data.draw(st.integers(1, 8)))
    assert choice.positions.tolist() == naive(texts, budget, *stages)
    assert choice.excluded.get("empty", 0) == texts.count("")


@settings(deadline=None, max_examples=150)
@given(st.lists(TEXTS, min_size=1, max_size=40), STAGES, st.data())
def test_the_rows_of_the_official_code_in_its_order_without_its_repeats(texts, stages, data):
    k1, k2, k3 = (min(k, len(texts)) for k in stages)
    budget = data.draw(st.integers(0, len(texts)))
    choice = choose(texts, budget, (k1, k2, k3), variant="as_released")
    official = naive_official([{"id": row, "text": text} for row, text in enumerate(texts)], budget, k1, k2, k3)
    assert choice.positions.tolist() == list(dict.fromkeys(official))
    assert (choice.notes["picked"], choice.notes["picked_once"]) == (len(official), len(set(official)))


def test_real_rows_longer_than_the_window_of_deflate(shared_data):
    with gzip.open(shared_data / "alpaca" / "alpaca_union.jsonl.gz", "rt") as lines:
        records = [json.loads(line) for line, _ in zip(lines, range(400), strict=False)]
    rows = MemoryPool({"record": [json.dumps(record) for record in records]}, part_rows=64)
    choice = Zip(ZipConfig(40, 24, 20, variant="as_released"))(rows, Budget(BudgetConfig(rows=200)))
    official = naive_official(records, 200, 40, 24, 20)
    assert sum(len(repr(records[row])) for row in official) > 64 * 1024
    assert choice.positions.tolist() == list(dict.fromkeys(official))


def test_scores_are_the_ratios_of_the_growing_list():
    texts = [f"{row} {WORDS[row % 5]} {WORDS[row % 3]}" for row in range(9)]
    choice = choose(texts, 6, (9, 9, 3))
    for begin in (0, 3):
        order = choice.positions[begin : begin + 3]
        lists = ["\n\n".join(texts[row] for row in order[: count + 1]) for count in range(3)]
        assert choice.scores[begin : begin + 3].tolist() == [ratio(text.encode()) for text in lists]


def test_rows_that_were_sent_back_are_chosen_later_where_the_official_code_loses_them():
    texts = [f"{random.Random(row).random()}" for row in range(12)]
    assert sorted(choose(texts, 12, (6, 4, 2)).positions.tolist()) == list(range(12))
    released = choose(texts, 12, (6, 4, 2), variant="as_released")
    assert released.notes["picked"] == 12 > released.notes["picked_once"] == len(released.positions)


def test_the_official_code_stops_after_whole_rounds_and_ours_at_the_budget():
    texts = [f"row {row} {row * 7919}" for row in range(30)]
    assert len(choose(texts, 5, (20, 6, 3)).positions) == 5
    assert len(choose(texts, 5, (20, 6, 3), variant="as_released").positions) == 6


def test_a_budget_of_tokens_cuts_the_order_of_the_picks():
    texts = [f"row {row} {row * 7919}" for row in range(30)]
    order = choose(texts, 30, (20, 6, 3)).positions
    budget = Budget(BudgetConfig(tokens=41), np.full(30, 4))
    assert Zip(ZipConfig(20, 6, 3))(pool(texts), budget).positions.tolist() == order[:10].tolist()


def test_memory_holds_some_of_the_measured_rows_at_a_time(monkeypatch):
    monkeypatch.setattr(zip_selector, "READ", 8)
    texts = [f"{row} " * 80_000 for row in range(50)]
    rows = pool(texts)
    tracemalloc.start()
    choice = Zip(ZipConfig(50, 2, 1))(rows, Budget(BudgetConfig(rows=2)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < sum(map(len, texts)) / 2
    assert choice.positions.tolist() == naive(texts, 2, 50, 2, 1)


def test_a_share_is_one_of_the_rows_with_text():
    assert len(Zip(ZipConfig())(pool(["a", "", "b", "", "c", "d"]), Budget(BudgetConfig(share=0.5))).positions) == 2


def test_more_rows_than_have_text_are_an_error():
    with pytest.raises(BadRequest, match="only 2 rows"):
        choose(["a", "", "b"], 3, (3, 2, 1))
    assert sorted(choose(["a", "", "b"], 3, (3, 2, 1), allow_short=True).positions.tolist()) == [0, 2]


def test_fewer_rows_than_stage_one_wants_are_named_as_released():
    with pytest.raises(BadRequest, match="k1=5 rows, and the pool has 2"):
        choose(["a", "b"], 1, (5, 2, 1), variant="as_released")


def test_as_released_knows_no_tokens():
    with pytest.raises(BadRequest, match="whole rounds"):
        Zip(ZipConfig(1, 1, 1, variant="as_released"))(pool(["a"]), Budget(BudgetConfig(tokens=1), np.array([1])))


@pytest.mark.parametrize("config", [{"variant": "old"}, {"k2": 50}, {"k1": 150}, {"k3": 0}])
def test_a_setting_that_cannot_be_is_refused(config):
    with pytest.raises(BadRequest, match="zip"):
        ZipConfig(**config)
