import pytest

from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.examples.prompting import PromptingConfig
from operators.select.measure.base import ModelConfig
from operators.select.measure.lengths import COUNTS, Lengths, LengthsConfig
from operators.select.measure.likelihood import Likelihood, LikelihoodConfig
from tests.operators.select.measure.scorers import BEFORE, Plain, asked, make_scorer, pool

RECORDS = [
    asked("What does a mill do?", "It grinds grain!!!"),
    "Plain text by the river.",
    {"messages": [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "Two."}]},
]


@pytest.fixture(scope="module", params=[False, True], ids=["no_bos", "bos"])
def scorer(request, tmp_path_factory) -> tuple[str, Plain]:
    model = make_scorer(tmp_path_factory.mktemp("scorer"), bos=request.param)
    return model, Plain(model, request.param)


def lengths(model: str | None, *records, max_tokens: int | None = 100) -> list[dict]:
    prompting = PromptingConfig(max_tokens=max_tokens)
    return Lengths(LengthsConfig(model), prompting, ExampleConfig())(pool(*records)).to_pylist()


def test_tokens_of_prompt_and_answer_are_counted_also_those_of_id_0(scorer):
    model, plain = scorer
    [row, text, _] = lengths(model, *RECORDS)
    ids, begin = plain.spans(BEFORE.format(question="What does a mill do?"), "It grinds grain!!!")
    assert (row["prompt_tokens"], row["answer_tokens"], row["tokens"]) == (begin, len(ids) - begin, len(ids))
    assert 0 in ids
    written = plain.encode("Plain text by the river.")
    assert (text["prompt_tokens"], text["answer_tokens"]) == (len(plain.first), len(written))


def test_counts_are_those_of_the_likelihood(scorer):
    model, _ = scorer
    config = LikelihoodConfig(), ModelConfig(path=model, device="cpu"), PromptingConfig(max_tokens=100), ExampleConfig()
    for given, expected in zip(lengths(model, *RECORDS), Likelihood(*config)(pool(*RECORDS)).to_pylist(), strict=True):
        assert {name: given[name] for name in COUNTS} == {name: expected[name] for name in COUNTS}


def test_a_row_that_is_too_long_or_no_example_is_null_with_a_reason(scorer):
    model, _ = scorer
    records = [asked("long", "very " * 100), RECORDS[0], {"other": 1}]
    rows = lengths(model, *records)
    assert [row["reason"] for row in rows] == ["too_long", None, "unknown_form"]
    assert {rows[0][name] for name in COUNTS} == {rows[2][name] for name in COUNTS} == {None}
    assert rows[1] == {**lengths(model, RECORDS[0])[0], "id": "row-1"}
    assert lengths(model, records[0], max_tokens=None)[0]["answer_tokens"] > 100


def test_a_tokenizer_must_be_named():
    with pytest.raises(BadRequest, match=r"lengths\.tokenizer is not given"):
        lengths(None, RECORDS[0])
