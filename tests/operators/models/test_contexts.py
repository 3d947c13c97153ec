from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.models.contexts import BATCH_TOKENS, batched, batches, laid_out, tokens_at_once


def model_config(**rope):
    text = SimpleNamespace(rope_parameters=rope or None)
    return SimpleNamespace(get_text_config=lambda: text)


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 200))
def test_every_context_is_in_one_batch_the_longest_first_and_no_batch_is_too_large(lengths, tokens):
    seen = []
    for numbers_B in batched(np.array(lengths, dtype=np.int64), tokens):
        longest = max(lengths[number] for number in numbers_B)
        assert len(numbers_B) == 1 or len(numbers_B) * longest <= tokens
        seen += numbers_B.tolist()
    assert sorted(seen) == list(range(len(lengths)))
    assert [lengths[number] for number in seen] == sorted(lengths, reverse=True)


def test_contexts_of_equal_length_keep_their_order():
    contexts_C2 = np.array([[0, 3], [3, 8], [8, 11], [11, 16]])
    assert [batch.tolist() for batch in batches(contexts_C2, 10)] == [[[3, 8], [11, 16]], [[0, 3], [8, 11]]]


def test_a_short_context_is_filled_up_with_its_own_last_token_and_only_wanted_states_are_named():
    targets = np.array([False, True, False, True, False, False, True, True, False])
    places_BL, wanted_N = laid_out(np.array([[0, 4], [5, 7]]), targets)
    assert places_BL.tolist() == [[0, 1, 2, 3], [5, 6, 6, 6]]
    assert (places_BL.reshape(-1)[wanted_N] + 1).tolist() == [1, 3, 6, 7]


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_contexts_go_alone_where_the_longest_would_change_the_others(kind):
    assert tokens_at_once(model_config(rope_type=kind), "cpu", 500) == 1


def test_the_device_decides_how_many_tokens_go_at_once_unless_it_is_said():
    assert tokens_at_once(model_config(), "cpu", 500) == 500
    assert tokens_at_once(model_config(rope_type="default"), "cpu") == BATCH_TOKENS["cpu"]
    assert tokens_at_once(model_config(), "xpu") == BATCH_TOKENS["cuda"]
