from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers import AutoModelForCausalLM

from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.examples.prompting import PromptingConfig
from operators.select.measure.base import ModelConfig, NotFinite
from operators.select.measure.likelihood import Likelihood, LikelihoodConfig
from tests.operators.select.measure.scorers import BEFORE, LABEL, Plain, asked, make_scorer, pool

pytestmark = pytest.mark.model
QA = [
    ("What does a mill do?", "It grinds grain between two heavy stones."),
    ("Say it.", "!"),
    ("Count!", "1 2 3!!! 4 5 6! and so on, and on, and on, until the first hard frost."),
    ("Rewrite: the river turns", "the river turns"),
    ("the same words", "the same words"),
    ("물레방아는?", "강가에 서 있다."),
    ("In 1781 a flour merchant paid 40 pounds for two new stones. What did he pay? " * 3, "40 pounds"),
]
ROWS = pool(*(asked(*pair) for pair in QA))
TEXT = "The village paid him back in bread! And the mill stands by the river."


@pytest.fixture(scope="module", params=[False, True], ids=["no_bos", "bos"])
def scorer(request, tmp_path_factory) -> tuple[str, Plain]:
    model = make_scorer(tmp_path_factory.mktemp("scorer"), bos=request.param)
    return model, Plain(model, request.param)


def measure(
    model: str, rows: pa.Table, prompting: dict | None = None, scorer: dict | None = None, **config
) -> pa.Table:
    return likelihood(model, prompting, scorer, **config)(rows)


def likelihood(model: str, prompting: dict | None = None, scorer: dict | None = None, **config) -> Likelihood:
    return Likelihood(
        LikelihoodConfig(**config),
        ModelConfig(path=model, device="cpu", **(scorer or {})),
        PromptingConfig(**(prompting or {})),
        ExampleConfig(),
    )


def values(table: pa.Table, column: str) -> np.ndarray:
    return table[column].to_numpy().astype(np.float64)


def test_losses_are_those_of_a_plain_loop_in_double_precision(scorer):
    model, plain = scorer
    table = measure(model, ROWS)
    answers = [plain.mean_loss(BEFORE.format(question=question), answer) for question, answer in QA]
    directs = [plain.mean_loss(LABEL, answer) for _, answer in QA]
    assert np.std(answers) > 0.1
    np.testing.assert_allclose(values(table, "answer_loss"), answers, atol=2e-5)
    np.testing.assert_allclose(values(table, "direct_loss"), directs, atol=2e-5)
    np.testing.assert_allclose(
        values(table, "answer_loss") / values(table, "direct_loss"), np.divide(answers, directs), atol=1e-5
    )
    assert table["reason"].to_pylist() == [None] * len(QA)
    assert table["id"].to_pylist() == ROWS["id"].to_pylist()


def test_tokens_are_counted_as_the_model_reads_them(scorer):
    model, plain = scorer
    table = measure(model, ROWS)
    for row, (question, answer) in zip(table.to_pylist(), QA, strict=True):
        ids, begin = plain.spans(BEFORE.format(question=question), answer)
        counts = (row["prompt_tokens"], row["answer_tokens"], row["tokens"])
        assert counts == (begin, len(ids) - begin, len(ids))


def test_the_end_counts_where_it_is_asked_to(scorer):
    model, plain = scorer
    table = measure(model, ROWS, {"score_eos": True})
    answers = [plain.mean_loss(BEFORE.format(question=question), answer, ending=True) for question, answer in QA]
    directs = [plain.mean_loss(LABEL, answer, ending=True) for _, answer in QA]
    np.testing.assert_allclose(values(table, "answer_loss"), answers, atol=2e-5)
    np.testing.assert_allclose(values(table, "direct_loss"), directs, atol=2e-5)


def test_plain_text_is_an_answer_without_a_question(scorer):
    model, plain = scorer
    [row] = measure(model, pool(TEXT)).to_pylist()
    assert row["answer_loss"] == pytest.approx(plain.mean_loss("", TEXT), abs=2e-5)
    assert (row["direct_loss"], row["reason"]) == (None, "no_prompt")
    assert row["prompt_tokens"] == len(plain.first)


def test_a_model_that_ignores_the_question_finds_both_losses_equal(scorer, tmp_path):
    """Its layers add nothing to the embeddings, so that a token's prediction depends on the token alone."""
    model, _ = scorer
    blind = AutoModelForCausalLM.from_pretrained(model)
    for layer in blind.model.layers:
        layer.self_attn.o_proj.weight.data.zero_()
        layer.mlp.down_proj.weight.data.zero_()
    blind.save_pretrained(tmp_path)
    _copy_tokenizer(model, tmp_path)
    table = measure(str(tmp_path), ROWS)
    np.testing.assert_allclose(values(table, "answer_loss"), values(table, "direct_loss"), rtol=1e-6)


def test_batches_company_and_order_change_nothing_but_rounding(scorer):
    model, _ = scorer
    rows = pool(*(asked(*pair) for pair in QA), TEXT)
    whole = measure(model, rows, embeddings=True, released=True)
    floats = [name for name in whole.column_names if name not in ("id", "reason")]
    shuffled = np.random.default_rng(0).permutation(len(rows))
    others = {
        "small batches": measure(model, rows, scorer={"batch_tokens": 1}, embeddings=True, released=True),
        "alone": pa.concat_tables(
            [measure(model, rows.slice(row, 1), embeddings=True, released=True) for row in range(len(rows))]
        ),
        "shuffled": measure(model, rows.take(shuffled), embeddings=True, released=True).take(np.argsort(shuffled)),
    }
    for table in others.values():
        assert table.schema == whole.schema
        assert table["reason"].to_pylist() == whole["reason"].to_pylist()
        for name in floats:
            np.testing.assert_allclose(_numbers(table[name]), _numbers(whole[name]), rtol=1e-5, atol=1e-6)


def test_a_row_that_cannot_be_measured_is_null_with_a_reason_and_moves_no_other(scorer):
    model, _ = scorer
    good = measure(model, ROWS).to_pylist()
    odd = [asked("long", "very " * 300), {"other": 1}, asked("no answer", ""), TEXT, asked("Only white space", " ")]
    table = measure(model, pool(odd[0], *(asked(*pair) for pair in QA), *odd[1:]), {"max_tokens": 200})
    rows = table.to_pylist()
    for name in ("answer_loss", "direct_loss"):
        given = [row[name] for row in rows[1 : len(QA) + 1]]
        np.testing.assert_allclose(given, [row[name] for row in good], rtol=1e-6)
    reasons = [rows[0]["reason"], *(row["reason"] for row in rows[len(QA) + 1 :])]
    assert reasons == ["too_long", "unknown_form", "no_answer", "no_prompt", "no_answer"]
    for row in (rows[0], *rows[len(QA) + 1 : len(QA) + 3], rows[-1]):
        assert {row[name] for name in ("answer_loss", "direct_loss", "tokens", "answer_tokens")} == {None}


def test_a_row_beyond_the_models_positions_is_too_long(tmp_path):
    model = make_scorer(tmp_path, context_tokens=60)
    table = measure(model, pool(asked("short", "answer"), asked("long", "answer " * 60)), embeddings=True)
    assert table["reason"].to_pylist() == [None, "too_long"]
    assert table["embedding"].is_null().to_pylist() == [False, True]


def test_a_row_that_takes_all_of_the_models_positions_is_read_without_the_end(tmp_path, scorer):
    _, plain = scorer
    rows = pool(asked("short", "answer"))
    [row] = measure(scorer[0], rows).to_pylist()
    model = make_scorer(tmp_path, bos=bool(plain.first), context_tokens=row["tokens"])
    [bare], [more] = (measure(model, rows, embeddings=each).to_pylist() for each in (False, True))
    assert bare["reason"] is more["reason"] is None and more["tokens"] == row["tokens"]
    assert more["answer_loss"] == pytest.approx(bare["answer_loss"], abs=2e-6)
    ids, _ = plain.spans(BEFORE.format(question="short"), "answer")
    np.testing.assert_allclose(more["embedding"], plain.states(ids).mean(axis=0), atol=1e-5)


def test_an_answer_of_one_token_at_the_very_beginning_has_no_target(scorer):
    model, plain = scorer
    [row] = measure(model, pool("!")).to_pylist()
    assert row["reason"] == ("no_prompt" if plain.first else "no_target")
    assert (row["answer_loss"] is None) == (not plain.first)


def test_where_nothing_stands_before_an_answer_alone_there_is_no_direct_loss(scorer):
    model, plain = scorer
    table = measure(model, ROWS, {"template": "plain"})
    if plain.first:
        assert table["reason"].null_count == table["direct_loss"].null_count + len(QA) == len(QA)
    else:
        assert set(table["reason"].to_pylist()) == {"no_label"}
        assert table["direct_loss"].null_count == len(QA) and table["answer_loss"].null_count == 0


def test_embeddings_are_means_of_the_last_states_over_all_tokens_and_the_end(scorer):
    model, plain = scorer
    table = measure(model, ROWS, embeddings=True)
    for row, (question, answer) in zip(table.to_pylist(), QA, strict=True):
        ids, _ = plain.spans(BEFORE.format(question=question), answer)
        states_TH = plain.states([*ids, plain.end])
        weights_T = np.arange(1, len(states_TH) + 1)
        np.testing.assert_allclose(row["embedding"], states_TH.mean(axis=0), atol=1e-5)
        weighted = (states_TH * weights_T[:, None]).sum(axis=0) / weights_T.sum()
        np.testing.assert_allclose(row["weighted_embedding"], weighted, atol=1e-5)
    assert table["embedding"].type == pa.list_(pa.float32(), 64)


def test_asking_for_embeddings_leaves_the_losses_as_they_are(scorer):
    model, _ = scorer
    bare, more = measure(model, ROWS), measure(model, ROWS, embeddings=True)
    for name in ("answer_loss", "direct_loss", "tokens"):
        np.testing.assert_allclose(values(more, name), values(bare, name), rtol=1e-6)


def test_no_rows_have_no_features_and_the_same_columns(scorer):
    model, _ = scorer
    some = measure(model, ROWS, embeddings=True, released=True)
    none = measure(model, ROWS.slice(0, 0), embeddings=True, released=True)
    assert none.schema == some.schema and len(none) == 0


def test_a_row_that_the_device_has_no_room_for_fails_alone(scorer):
    """The network stands in for a small device: it takes so many tokens at once and no more."""
    model, _ = scorer
    rows = pool(*(asked(*pair) for pair in QA), asked("long", "very " * 150))
    measure_rows = likelihood(model, embeddings=True)
    expected = measure_rows(rows).to_pylist()
    body = measure_rows.model.network.base_model
    inside = body.forward

    def small(input_ids, **more):
        if input_ids.numel() > 150:
            raise torch.OutOfMemoryError("no room")
        return inside(input_ids=input_ids, **more)

    body.forward = small
    given = measure_rows(rows).to_pylist()
    assert [row["reason"] for row in given] == [None] * len(QA) + ["forward_failed"]
    assert given[-1]["answer_loss"] is None and given[-1]["embedding"] is None
    for before, after in zip(expected[:-1], given[:-1], strict=True):
        assert after["answer_loss"] == pytest.approx(before["answer_loss"], rel=1e-5)
        np.testing.assert_allclose(after["embedding"], before["embedding"], atol=1e-5)


def test_a_model_that_gives_no_number_is_told_with_the_row_where_it_did(scorer, tmp_path):
    model, plain = scorer
    broken = AutoModelForCausalLM.from_pretrained(model)
    [token] = plain.encode("Z")
    with torch.no_grad():
        broken.get_input_embeddings().weight[token] = torch.nan
    broken.save_pretrained(tmp_path)
    _copy_tokenizer(model, tmp_path)
    rows = pool(asked("good", "bread"), asked("bad", "Z and Z"), TEXT)
    with pytest.raises(NotFinite, match=r"answer_loss.*rows row-1\. ") as caught:
        measure(str(tmp_path), rows)
    assert caught.value.rows == ["row-1"]


def test_what_cannot_measure_is_refused(scorer, tmp_path):
    model, _ = scorer
    with pytest.raises(BadRequest, match=r"scorer\.path is not given"):
        measure(None, ROWS)
    with pytest.raises(BadRequest, match=r"scorer\.dtype"):
        ModelConfig(dtype="int8")
    with pytest.raises(BadRequest, match=r"scorer\.batch_tokens"):
        replace(ModelConfig(), batch_tokens=0)
    small = AutoModelForCausalLM.from_pretrained(model)
    small.resize_token_embeddings(300)
    small.save_pretrained(tmp_path)
    _copy_tokenizer(model, tmp_path)
    with pytest.raises(BadRequest, match="knows 300 tokens"):
        measure(str(tmp_path), ROWS)


def _copy_tokenizer(model: str, to: Path) -> None:
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (to / file).write_bytes((Path(model) / file).read_bytes())


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Numbers or lists of them, NaN for null."""
    if pa.types.is_fixed_size_list(column.type):
        empty = [np.nan] * column.type.list_size
        return np.array([empty if row is None else row for row in column.to_pylist()])
    return np.array([np.nan if value is None else value for value in column.to_pylist()], dtype=np.float64)
