import json
import re
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.select.measure.ngrams import Ngrams, NgramsConfig


def measured(texts, **config):
    rows = pa.table({"id": list(map(str, range(len(texts)))), "record": [json.dumps({"text": text}) for text in texts]})
    return Ngrams(NgramsConfig(**config), ExampleConfig())(rows)


def ngrams(texts, **config):
    return measured(texts, **config)["ngrams"].to_pylist()


def test_words_then_pairs():
    [[the, mill, ground, it, the_mill, mill_ground, ground_it]] = ngrams(["The mill ground IT"])
    assert ngrams(["the", "mill the mill"]) == [[the], [mill, the, mill, ngrams(["mill the"])[0][2], the_mill]]
    assert ngrams(["ground it"]) == [[ground, it, ground_it]]
    assert mill_ground not in (the_mill, ngrams(["ground mill"])[0][2])


def test_signs_are_words_and_all_letters_count():
    assert len(ngrams(["학습 자료, école_1 (...)"])[0]) == 2 * len(["학습", "자료", ",", "école_1", "(...)"]) - 1


@given(st.lists(st.text("aAb.,é학 \n", min_size=1).filter(str.strip), max_size=6), st.integers(1, 300))
def test_a_row_is_measured_alone_as_among_others(texts, buckets):
    found = ngrams(texts, buckets=buckets)
    assert found == [ngrams([text], buckets=buckets)[0] for text in texts]
    for text, grams in zip(texts, found, strict=True):
        words = re.findall(r"\w+|[^\w\s]+", text.lower())
        assert len(grams) == max(2 * len(words) - 1, 0) and all(0 <= gram < buckets for gram in grams)
        pairs = list(pairwise(words))
        assert len(set(zip(pairs, grams[len(words) :], strict=True))) == len(
            set(pairs)
        )  # the same pair, the same bucket


def test_a_seed_is_a_hash_of_its_own():
    assert ngrams(["some words stand here"], seed=1) != ngrams(["some words stand here"])


def test_words_and_pairs_fill_the_buckets_evenly():
    [grams] = ngrams([" ".join(f"w{number}" for number in range(20_000))], buckets=100)
    for part in (grams[:20_000], grams[20_000:]):
        counts = np.bincount(part, minlength=100)
        assert ((counts - len(part) / 100) ** 2 / (len(part) / 100)).sum() < 149  # chi-square, 99 degrees of freedom


def test_what_is_asked_and_what_is_answered_count_and_no_example_has_a_reason():
    records = [{"instruction": "ask this", "output": "say that"}, {"instruction": "ask"}, {"text": "ask this say that"}]
    rows = pa.table({"id": ["a", "b", "c"], "record": list(map(json.dumps, records))})
    table = Ngrams(NgramsConfig(), ExampleConfig())(rows)
    assert table["ngrams"].to_pylist()[0] == table["ngrams"].to_pylist()[2]
    assert table["ngrams"].to_pylist()[1] is None
    assert table["reason"].to_pylist() == [None, "no_answer", None]
    assert table.schema.field("ngrams").type == pa.list_(pa.uint16()) == measured([]).schema.field("ngrams").type


@pytest.mark.parametrize("buckets", [0, 65_537])
def test_buckets_that_16_bits_cannot_tell_apart_are_refused(buckets):
    with pytest.raises(BadRequest, match=r"ngrams\.buckets"):
        NgramsConfig(buckets=buckets)
