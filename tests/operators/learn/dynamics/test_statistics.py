import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from operators.errors import BadRequest
from operators.learn.dynamics import TokenStatistics, classify, join, mean_last_loss

NAN = np.nan


def watched(losses_XN) -> TokenStatistics:
    statistics = TokenStatistics(np.shape(losses_XN)[1:])
    for losses_N in losses_XN:
        statistics.add(np.asarray(losses_N, np.float16))
    return statistics


def test_memory_does_not_grow_with_the_checkpoints():
    statistics = TokenStatistics((3, 4))
    held = []
    for checkpoint in range(20):
        statistics.add(np.full((3, 4), checkpoint, np.float16))
        held.append(sum(value.nbytes for value in vars(statistics).values() if isinstance(value, np.ndarray)))
    assert len(set(held)) == 1


def test_a_later_change_of_the_callers_array_changes_nothing():
    statistics, losses = TokenStatistics(2), np.array([1.0, 2.0])
    statistics.add(losses)
    losses[:] = 9
    assert mean_last_loss([statistics]) == 1.5


def test_the_mean_is_of_the_last_checkpoint_and_of_defined_tokens():
    assert mean_last_loss([watched([[NAN, 9, 9], [NAN, 1, 2]]), watched([[9], [6]])]) == 3.0


@given(arrays(np.float16, (3, 12), elements=st.floats(0, 20, width=16)), st.lists(st.integers(1, 11), max_size=3))
def test_any_order_and_cut_of_the_shards_gives_the_same_classes(losses_XN, cuts):
    whole = watched(losses_XN)
    parts = np.split(np.arange(12), sorted(set(cuts)))
    shards = [watched(losses_XN[:, part]) for part in parts]
    expected = classify(whole, mean_last_loss([whole])).code
    for order in itertools.permutations(range(len(shards))):
        mean = mean_last_loss([shards[index] for index in order])
        found = [classify(shard, mean).code for shard in shards]
        np.testing.assert_array_equal(np.concatenate(found), expected)
    np.testing.assert_array_equal(classify(join(shards), mean).code, expected)


def test_shards_that_saw_other_checkpoints_do_not_join():
    with pytest.raises(BadRequest, match=r"\[1, 2\] checkpoints"):
        join([watched([[1.0], [2.0]]), watched([[1.0]])])


@pytest.mark.parametrize("second", [[1.0, 2.0], [NAN, NAN], [NAN, np.inf]])
def test_a_token_that_is_undefined_or_infinite_at_some_checkpoint_only_is_named(second):
    statistics = watched([[NAN, 2.0]])
    place = 0 if second == [1.0, 2.0] else 1
    with pytest.raises(BadRequest, match=rf"checkpoint 1: the loss at \({place},\)"):
        statistics.add(np.array(second))
    assert statistics.checkpoints == 1
    statistics.add(np.array([NAN, 3.0]))  # what was refused left no trace
    assert mean_last_loss([statistics]) == 3.0
    assert statistics.sums[1] == 5.0


def test_an_infinite_loss_at_the_first_checkpoint_is_refused():
    with pytest.raises(BadRequest, match=r"checkpoint 0: the loss at \(1, 0\) is inf"):
        TokenStatistics((2, 2)).add(np.array([[1, 2], [np.inf, 3]]))


def test_other_tokens_are_refused():
    with pytest.raises(BadRequest, match=r"losses of shape \(3,\), and the tokens are \(2,\)"):
        TokenStatistics(2).add(np.zeros(3))


def test_tokens_without_any_loss_are_refused():
    with pytest.raises(BadRequest, match="no token has a loss"):
        mean_last_loss([watched([[NAN], [NAN]])])
