"""Cuts of texts, and what the encoder makes of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.examples.prompting.encoding import Encoder, MarkedText, literal, stretches
from operators.text.tokenizer import load_tokenizer
from tests.operators.examples.prompting.tokenizers import byte_level


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Encoder:
    return Encoder(load_tokenizer(byte_level(tmp_path_factory.mktemp("model"))))


@given(st.text(alphabet="ab \n가", max_size=200), st.integers(2, 20))
def test_stretches_join_to_the_text(text, longest):
    pieces = list(stretches(text, longest))
    assert "".join(pieces) == text and all(0 < len(piece) <= longest for piece in pieces)


@given(st.text(alphabet="on:A ! s.\n가", max_size=60), st.sets(st.integers(0, 60), max_size=4))
def test_a_text_cut_anywhere_spells_the_same(encoder, text, places):
    cuts = frozenset(place for place in places if place < len(text))
    (found,) = encoder([MarkedText(text, tuple(sorted(cuts)), cuts)])
    assert encoder.reading.decode(found.ids.tolist()) == text
    before = [encoder.reading.decode(found.ids[:count].tolist()) for count in found.marks]
    assert before == [text[:cut] for cut in sorted(cuts)]


@given(st.text(alphabet="on:A ! s.\n가", max_size=60), st.sets(st.integers(0, 60), max_size=4))
def test_a_mark_alone_divides_a_text_only_where_a_token_crosses_it(encoder, text, places):
    marks = tuple(sorted(place for place in places if place < len(text)))
    (found,), (whole,) = encoder([MarkedText(text, marks)]), encoder([MarkedText(text)])
    assert [encoder.reading.decode(found.ids[:count].tolist()) for count in found.marks] == [
        text[:mark] for mark in marks
    ]
    spelt = [encoder.reading.decode(whole.ids[:count].tolist()) for count in range(len(whole.ids) + 1)]
    if all(text[:mark] in spelt for mark in marks):
        np.testing.assert_array_equal(found.ids, whole.ids)


def test_special_tokens_count_but_in_what_is_literal(encoder):
    end = encoder.reading.token_to_id("<|end|>")
    read, written, mixed = encoder(
        [
            MarkedText("<|end|>"),
            literal("<|end|>"),
            MarkedText("<|end|><|end|>", cuts=frozenset({7}), literal=frozenset({7})),
        ]
    )
    assert read.ids.tolist() == [end] and end not in written.ids
    assert mixed.ids.tolist() == [end, *written.ids.tolist()]


def test_a_text_with_too_many_tokens_is_none_and_its_neighbours_stay(encoder):
    found = encoder([MarkedText("!!"), MarkedText("!" * 9), MarkedText("!!!")], most=3)
    assert [None if one is None else len(one.ids) for one in found] == [2, None, 3]


def test_nothing_is_no_tokens(encoder):
    (nothing,) = encoder([MarkedText("")])
    assert nothing.ids.tolist() == [] and nothing.ids.dtype == np.int32 and encoder([]) == []
