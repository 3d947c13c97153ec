import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.errors import BadRequest
from operators.learn.training.data.order import DataOrder, slices

shard_rows = st.lists(st.integers(0, 7), min_size=1, max_size=12).filter(any)
seeds = st.integers(0, 2**40)


@given(shard_rows, seeds, st.integers(1, 5))
def test_each_epoch_has_each_row_once(rows, seed, shuffle_shards):
    order = DataOrder(rows, seed, shuffle_shards)
    every = {(shard, row) for shard, count in enumerate(rows) for row in range(count)}
    for epoch in range(3):
        places = order.places(epoch * order.epoch_rows, (epoch + 1) * order.epoch_rows)
        assert Counter(map(tuple, places.tolist())) == Counter(every)


@given(shard_rows, seeds, st.integers(1, 5), st.integers(0, 60), st.integers(0, 40))
def test_a_sample_is_the_same_from_wherever_one_begins(rows, seed, shuffle_shards, begin, count):
    whole = DataOrder(rows, seed, shuffle_shards).places(0, begin + count)
    assert np.array_equal(DataOrder(rows, seed, shuffle_shards).places(begin, begin + count), whole[begin:])


@given(shard_rows, seeds, st.integers(1, 5))
def test_at_most_a_group_of_shards_is_needed_at_once(rows, seed, shuffle_shards):
    order = DataOrder(rows, seed, shuffle_shards)
    groups = list(order.groups(0, 2 * order.epoch_rows))
    assert [group.begin for group in groups[1:]] == [group.end for group in groups[:-1]]
    for group in groups:
        assert len(group.shards) <= shuffle_shards
        assert set(order.places(group.begin, group.end)[:, 0]) <= set(group.shards)


@given(st.integers(0, 10**9), st.integers(1, 40), st.integers(1, 9), st.integers(1, 9))
def test_slices_are_the_step_in_order_whatever_the_ranks_and_the_micro_batches(begin, rows, ranks, micro_rows):
    parts = slices(begin, rows, ranks, micro_rows)
    assert [sample for rank in parts for part in rank for sample in part] == list(range(begin, begin + rows))
    assert len({len(rank) for rank in parts}) == 1 and len(parts) == ranks
    sizes = [len(part) for rank in parts for part in rank]
    assert max(sizes) <= micro_rows and max(sizes) - min(sizes) <= 1


def test_epochs_and_seeds_differ():
    order = DataOrder([50, 50], 0, 8)
    first, second, other = order.places(0, 100), order.places(100, 200), DataOrder([50, 50], 1, 8).places(0, 100)
    assert not np.array_equal(first, second) and not np.array_equal(first, other)


def test_the_sequence_never_changes_between_versions():
    assert DataOrder([3, 0, 2, 4], 7, 2).places(0, 9).tolist() == [
        [3, 1], [3, 3], [3, 2], [0, 0], [0, 1], [3, 0], [0, 2], [2, 0], [2, 1],
    ]  # fmt: skip


def test_rows_of_a_group_are_mixed():
    shards = DataOrder([100] * 8, 0, 8).places(0, 100)[:, 0]
    assert len(set(shards.tolist())) == 8


def test_a_place_far_away_is_found_at_once():
    order = DataOrder([100_000] * 2_000, 0, 8)
    begin = time.process_time()  # of the processor: nothing else that the machine does counts
    order.places(10**12, 10**12 + 1024)
    assert time.process_time() - begin < 5


def test_an_artifact_without_rows_is_refused():
    with pytest.raises(BadRequest, match="nothing to train on"):
        DataOrder([0, 0], 0, 8)


def test_the_digest_names_rows_seed_and_groups():
    digests = {DataOrder(*what).digest for what in (([3, 4], 0, 8), ([4, 3], 0, 8), ([3, 4], 1, 8), ([3, 4], 0, 1))}
    assert len(digests) == 4
