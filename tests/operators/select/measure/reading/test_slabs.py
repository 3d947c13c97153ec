import threading
from itertools import chain

import numpy as np
import pyarrow as pa
import pytest

from operators.select.measure.reading.slabs import prepared, slabs


def table(bytes_of_records: list[int]) -> pa.Table:
    return pa.table({"record": pa.array(["x" * size for size in bytes_of_records], pa.large_string())})


def test_each_row_is_in_one_slab_and_the_longest_come_first():
    sizes = np.random.default_rng(0).integers(0, 400, 300).tolist()
    cut = [numbers.tolist() for numbers in slabs(table(sizes), batch_tokens=250)]
    order = list(chain.from_iterable(cut))
    assert sorted(order) == list(range(300)) and len(cut) > 3
    assert [sizes[number] for number in order] == sorted(sizes, reverse=True)
    first, second = (sum(sizes[number] for number in numbers) for numbers in cut[:2])
    assert first <= 250 * 4 < second <= 2 * 250 * 4


def test_a_row_larger_than_a_slab_is_a_slab_and_no_rows_are_none():
    assert [numbers.tolist() for numbers in slabs(table([3, 5000, 4000]), batch_tokens=10)] == [[1], [2], [0]]
    assert list(slabs(table([]), batch_tokens=10)) == []


def test_the_next_slab_is_prepared_while_one_is_at_work():
    rows, started = table([100] * 50), [threading.Event() for _ in range(50)]
    numbers_of = iter(range(50))

    def prepare(some: pa.Table) -> int:
        number = next(numbers_of)
        started[number].set()
        return number

    count = len(list(slabs(rows, 100)))
    for slab, (_, number) in enumerate(prepared(rows, 100, prepare)):
        assert number == slab
        if slab + 1 < count:
            assert started[slab + 1].wait(timeout=10)


def test_what_goes_wrong_in_preparing_is_raised():
    def prepare(some: pa.Table) -> None:
        raise ValueError("no such token")

    with pytest.raises(ValueError, match="no such token"):
        list(prepared(table([1, 2]), 100, prepare))
