import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.tokens.fit import TOO_LONG, fitted

W = 16


def chat(*rounds: tuple[int, int], rest: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Make tokens, each another, of rounds with so many tokens of question and answer; `rest` follows the last answer."""
    learned = [told for question, answer in rounds for told in [False] * question + [True] * answer] + [False] * rest
    return np.arange(len(learned), dtype=np.int32), np.array(learned)


def fit(example: tuple[np.ndarray, np.ndarray], how: str):
    found = fitted(*example, W, how)
    return [(ids.tolist(), ids[targets].tolist()) for ids, targets in found.pieces], found.outcome


@pytest.mark.parametrize("how", TOO_LONG)
def test_an_example_that_fits_is_left_as_it_is(how):
    assert fit(chat((10, 6)), how) == ([(list(range(16)), list(range(10, 16)))], None)


def test_truncated_the_first_tokens_stay_if_an_answer_begins_in_them():
    assert fit(chat((10, 20)), "truncate") == ([(list(range(16)), list(range(10, 16)))], "truncated")
    assert fit(chat((16, 20)), "truncate") == ([], "no_target")


def test_dropped_nothing_stays():
    assert fit(chat((10, 20)), "drop") == ([], "dropped")


def test_split_an_answer_goes_on_behind_its_question_and_the_last_of_what_was_answered():
    pieces, outcome = fit(chat((4, 30)), "split")
    assert outcome == "split"
    assert pieces[0] == (list(range(16)), list(range(4, 16)))
    assert pieces[1] == ([0, 1, 2, 3, 12, 13, 14, 15, *range(16, 24)], list(range(16, 24)))
    assert pieces[2] == ([0, 1, 2, 3, 20, 21, 22, 23, *range(24, 32)], list(range(24, 32)))
    assert pieces[3] == ([0, 1, 2, 3, 28, 29, 30, 31, 32, 33], [32, 33])


def test_split_rounds_of_a_chat_stay_together_as_many_as_a_row_holds():
    pieces, outcome = fit(chat((3, 3), (3, 3), (3, 3), (2, 6), (3, 20), (1, 1)), "split")
    assert outcome == "split"
    assert pieces[0][0] == list(range(12)) and pieces[1][0] == list(range(12, 26))  # 6 + 6; 6 + 8
    assert pieces[2][0] == list(range(26, 42)) and pieces[2][1] == list(range(29, 42))
    assert pieces[3][0] == [26, 27, 28, 38, 39, 40, 41, *range(42, 49)]
    assert pieces[4] == ([49, 50], [50])


def test_split_a_question_above_half_a_row_is_not_repeated():
    assert fit(chat((9, 20)), "split") == ([(list(range(16)), list(range(9, 16)))], "truncated")
    assert fit(chat((20, 20)), "split") == ([], "no_target")


def test_a_text_without_a_question_is_split_too():
    pieces, _ = fit(chat((0, 40)), "split")
    assert pieces[0][1] == list(range(16)) and pieces[1] == ([*range(12, 16), *range(16, 28)], list(range(16, 28)))


ROUNDS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 60)), min_size=1, max_size=6)


@given(ROUNDS, st.integers(0, 3), st.sampled_from(TOO_LONG))
def test_no_piece_is_longer_than_a_row_and_each_answer_token_is_learned_at_most_once_after_its_question(
    rounds, rest, how
):
    ids, targets = chat(*rounds, rest=rest)
    found = fitted(ids, targets, W, how)
    learned = [token for piece, marks in found.pieces for token in piece[marks].tolist()]
    assert len(learned) == len(set(learned)) and set(learned) <= set(ids[targets].tolist())
    assert all(len(piece) <= W and len(piece) == len(marks) for piece, marks in found.pieces)
    begins, at = {}, 0
    for question, answer in rounds:
        begins |= dict.fromkeys(range(at + question, at + question + answer), (at, at + question))
        at += question + answer
    for piece, marks in found.pieces:
        for place in np.flatnonzero(marks):
            begin, answer = begins[piece[place]]
            before = piece[:place].tolist()
            assert [token for token in before if begin <= token < answer] == list(range(begin, answer))
    if how == "split" and all(question <= W // 2 for question, _ in rounds):
        assert set(learned) == set(ids[targets].tolist())
