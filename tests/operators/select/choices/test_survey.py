from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from operators.select.choices.survey import LengthSurvey, Survey
from tests.operators.select.choices.pools import parts, pool_of


@pytest.mark.parametrize("share", [0, 0.25, 0.5, 0.75, 0.9, 1])
@pytest.mark.parametrize("values", [[7], [1, 2], [3, 3, 9, 0], list(range(0, 500, 7))])
def test_quantiles_of_counts_are_those_of_the_values(values, share):
    lengths = LengthSurvey()
    for part in np.array_split(np.array(values), 3):
        lengths.add(pa.chunked_array([pa.array(part, pa.int32())]))
    assert lengths.quantile(share) == pytest.approx(np.quantile(values, share))
    assert (lengths.rows, lengths.mean) == (len(values), pytest.approx(np.mean(values)))


def test_counts_are_those_of_all_rows_and_nulls_are_not_counted():
    pool = pool_of(100)
    pool = pa.concat_tables([pool, pool.slice(0, 3)]).set_column(
        3, "answer_tokens", pa.array([None, *range(102)], pa.int32())
    )
    survey = Survey(parts(pool), 10, 0)
    texts = pool["text"].to_pylist()
    assert survey.rows == 103
    assert survey.unique_ids == 100
    assert survey.equal_rows == 103 - len(set(texts))
    assert survey.lengths["answer_tokens"].rows == 102
    assert survey.lengths["answer_tokens"].tokens == sum(range(102))
    assert survey.named["source"] == Counter(pool["source"].to_pylist())


def test_the_sample_is_the_same_for_any_parts_and_any_order():
    pool = pool_of(200)
    shuffled = pool.take(np.random.default_rng(1).permutation(200))
    samples = [Survey(tables, 20, 5).sample["id"].to_pylist() for tables in ([pool], parts(pool, 7), parts(shuffled))]
    assert samples[0] == samples[1] == samples[2]
    assert len(set(samples[0])) == 20
    assert Survey([pool], 20, 6).sample["id"].to_pylist() != samples[0]
    assert Survey([pool], 50, 5).sample["id"].to_pylist()[:20] == samples[0]


def test_every_row_is_as_likely_to_be_in_the_sample():
    pool = pool_of(40).select(["id"])
    drawn = Counter(id for seed in range(300) for id in Survey([pool], 10, seed).sample["id"].to_pylist())
    expected = 300 * 10 / 40
    chi_squared = sum((drawn[id] - expected) ** 2 / expected for id in pool["id"].to_pylist())
    assert chi_squared < 75  # 39 degrees of freedom: beyond it once in 2,000 times


def test_an_empty_stream_is_a_survey_of_nothing():
    for tables in ([], [pool_of(3).slice(0, 0)]):
        survey = Survey(tables, 10, 0)
        assert (survey.rows, survey.unique_ids, survey.texts()) == (0, 0, [])
