from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from operators.errors import BadRequest
from operators.learn.score import ScoreConfig, Scorer, score_columns
from operators.learn.score.base import NotFiniteScore, contexts_to_read
from operators.models.contexts import batches, laid_out
from operators.tokens.rows import PackedRows, Packing, checksums
from tests.operators.learn.score.references import make_reference, pack, packing_for, plain_scores

pytestmark = pytest.mark.model
LENGTHS = [5, 40, 1, 1, 17, 2, 90, 3, 12]  # documents; some longer than a row, some of one token
HALF = 2.0**-10  # relative error of float16


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return make_reference(tmp_path_factory.mktemp("reference"))


def scores(table: pa.Table, column: str = "reference_loss") -> np.ndarray:
    return np.stack([row.values.to_numpy(zero_copy_only=False) for row in table[column]])


def assert_close(given: np.ndarray, expected: np.ndarray, error: float) -> None:
    np.testing.assert_allclose(given.astype(np.float64), expected, rtol=error, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("prompt_tokens", [0, 4])
@pytest.mark.parametrize("cross_document", [False, True])
def test_scores_are_the_losses_and_entropies_of_each_context_alone(model, cross_document, prompt_tokens):
    rows = pack(packing_for(model, cross_document=cross_document), LENGTHS, prompt_tokens)
    table = Scorer(ScoreConfig(entropy=True), [model])(rows.table())
    assert table.column_names == ["id", "checksum", "reference_loss", "reference_entropy"]
    assert table["id"].to_pylist() == rows.ids
    assert (table["checksum"].to_numpy() == checksums(rows.tokens_RT)).all()
    for name, expected_RT in zip(table.column_names[2:], plain_scores(model, rows), strict=True):
        assert table[name].type == pa.list_(pa.float16(), 32)
        assert np.nanstd(expected_RT) > 0.1
        assert_close(scores(table, name), expected_RT, HALF)


def test_there_is_a_score_exactly_where_there_is_something_to_predict(model):
    rows = pack(packing_for(model), LENGTHS, prompt_tokens=2)
    given = scores(Scorer(ScoreConfig(), [model])(rows.table()))
    assert (np.isfinite(given) == rows.defined_RT).all()
    assert not rows.defined_RT[:, 0].any() and rows.defined_RT.sum() > 50


def test_a_score_belongs_to_the_token_that_it_predicts(model):
    packing = packing_for(model)
    rows = pack(packing, [32])
    other = PackedRows(packing, rows.ids, rows.tokens_RT.copy(), rows.starts_RT, rows.targets_RT)
    other.tokens_RT[0, 20] = rows.tokens_RT[0, 20] ^ 1
    scorer = Scorer(ScoreConfig(), [model])
    before, after = (scores(scorer(each.table()))[0] for each in (rows, other))
    assert_close(after[1:20], before[1:20], HALF)
    assert abs(after[20] - before[20]) > 0.05


def test_company_in_a_batch_changes_nothing_but_rounding(model):
    rows = pack(packing_for(model), LENGTHS)
    whole = scores(Scorer(ScoreConfig(), [model])(rows.table()))
    for batch_tokens in (1, 33, 70):
        assert_close(scores(Scorer(ScoreConfig(batch_tokens=batch_tokens), [model])(rows.table())), whole, 2 * HALF)
    alone = [scores(Scorer(ScoreConfig(), [model])(rows.table().slice(row, 1)))[0] for row in range(len(rows.ids))]
    assert_close(np.stack(alone), whole, 2 * HALF)


def test_the_same_rows_give_the_same_bytes(model):
    table = pack(packing_for(model), LENGTHS * 3).table()
    config = ScoreConfig(entropy=True, batch_tokens=100)
    first, second = (Scorer(config, [model])(table) for _ in range(2))
    for name in score_columns(1, True):
        assert scores(first, name).tobytes() == scores(second, name).tobytes()


def test_no_rows_have_no_scores(model):
    scorer, schema = Scorer(ScoreConfig(entropy=True), [model]), packing_for(model).schema
    some = scorer(pack(packing_for(model), LENGTHS).table())
    for table in (schema.empty_table(), pa.Table.from_batches([], schema)):
        assert scorer(table).schema == some.schema and scorer(table).num_rows == 0


def test_several_references_give_numbered_columns_in_their_order(model, tmp_path):
    other = make_reference(tmp_path, seed=5)
    rows = pack(packing_for(model), LENGTHS)
    table = Scorer(ScoreConfig(entropy=True), [model, other])(rows.table())
    assert table.column_names[2:] == score_columns(2, True)
    assert table.column_names[2:4] == ["reference_loss_1", "reference_entropy_1"]
    assert_close(scores(table, "reference_loss_1"), plain_scores(model, rows)[0], HALF)
    assert_close(scores(table, "reference_loss_2"), plain_scores(other, rows)[0], HALF)


def test_rows_of_other_tokens_than_the_references_are_refused(model, tmp_path):
    text = ["entirely different words make other merges, other pieces and another vocabulary"]
    other = make_reference(tmp_path, text=text, vocabulary=300)
    with pytest.raises(BadRequest, match=r"another tokenizer than .*pack with its tokenizer"):
        Scorer(ScoreConfig(), [other])(pack(packing_for(model), LENGTHS).table())


def test_a_copy_of_the_tokenizer_in_another_model_is_the_same_tokenizer(model, tmp_path):
    from transformers import AutoTokenizer

    copy = make_reference(tmp_path, seed=2)
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer("cut here", truncation=True, max_length=2, padding="max_length")  # leaves its mark in what is saved
    tokenizer.save_pretrained(copy)
    Scorer(ScoreConfig(), [copy]).check(packing_for(model))


def test_a_model_with_too_few_tokens_or_too_short_a_context_is_refused(model, tmp_path):
    packing = packing_for(model)
    more = Packing(packing.window, False, packing.tokenizer, packing.vocabulary + 1, packing.eos)
    with pytest.raises(BadRequest, match=f"knows {packing.vocabulary} tokens and the rows have {more.vocabulary}"):
        Scorer(ScoreConfig(), [model]).check(more)
    short = make_reference(tmp_path, context_tokens=16)
    with pytest.raises(BadRequest, match=r"32 tokens long and .* reads 16 at most.*pack\.window=16"):
        Scorer(ScoreConfig(), [short]).check(packing)


def test_a_model_that_gives_no_number_is_told_with_the_rows_where_it_did(model, tmp_path):
    broken = AutoModelForCausalLM.from_pretrained(model)
    rows = pack(packing_for(model), [32, 32, 32])
    rows.tokens_RT[:] = rows.tokens_RT % 200 + 2
    rows.tokens_RT[1, 7] = 250
    with torch.no_grad():
        broken.get_input_embeddings().weight[250] = torch.nan
    broken.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((Path(model) / "tokenizer.json").read_bytes())
    with pytest.raises(NotFiniteScore, match=f"reference_loss.*rows {rows.ids[1]}\\. ") as caught:
        Scorer(ScoreConfig(), [str(tmp_path)])(rows.table())
    assert caught.value.rows == [rows.ids[1]]


@pytest.mark.parametrize("config", [{"dtype": "int8"}, {"batch_tokens": 0}])
def test_settings_that_cannot_work_are_refused(config):
    with pytest.raises(BadRequest, match=f"score.{next(iter(config))}"):
        ScoreConfig(**config)


@st.composite
def some_rows(draw) -> PackedRows:
    """Rows with documents that begin anywhere and targets that are missing anywhere."""
    shape = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    flags = st.lists(st.booleans(), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1])
    starts, targets = (np.array(draw(flags)).reshape(shape) for _ in range(2))
    packing = Packing(shape[1], draw(st.booleans()), "", 100, 1)
    return PackedRows(packing, [str(row) for row in range(shape[0])], np.zeros(shape, np.uint16), starts, targets)


@given(some_rows(), st.integers(1, 40))
@settings(deadline=None)
def test_batches_predict_each_defined_target_once_from_its_own_context(rows, batch_tokens):
    defined, begins = rows.defined_RT.reshape(-1), np.flatnonzero(rows.contexts_RT.reshape(-1))
    predicted = []
    for batch_B2 in batches(contexts_to_read(rows), batch_tokens):
        places_BL, wanted_N = laid_out(batch_B2, defined)
        assert places_BL.size <= batch_tokens or len(places_BL) == 1
        context_BL = np.searchsorted(begins, places_BL, side="right")
        assert (context_BL == context_BL[:, :1]).all()
        assert (places_BL[:, 0] == begins[context_BL[:, 0] - 1]).all()
        predicted += (places_BL.reshape(-1)[wanted_N] + 1).tolist()
    assert sorted(predicted) == np.flatnonzero(defined).tolist()
