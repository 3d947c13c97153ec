import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.errors import BadRequest
from operators.rewrite.facts import lost_names, lost_numbers
from operators.rewrite.faithful import Faithful, FaithfulConfig, check_encoder
from operators.table import ORIGINAL
from tests.rows import completed

pytestmark = pytest.mark.model
SOURCE = "The port of Halden was built in 1190 by monks. A fire burned most of its wooden houses in 1421."
GOOD = "Monks laid out the harbour of Halden in 1190; in 1421 a blaze destroyed nearly all the timber homes."
OTHER = "Photosynthesis turns light into chemical energy inside the leaves of green plants."


def row(text, source=SOURCE, **more) -> dict:
    return {"id": "r", "style": "medium", "text": text, "source_text": source, **more}


def judge(text, source=SOURCE, **config) -> dict:
    return Faithful(FaithfulConfig(**config))(completed(row(text, source))).to_pylist()[0]


@pytest.fixture(scope="module")
def faithful():
    return Faithful(FaithfulConfig(min_similarity=0.5))


def test_a_rewrite_that_says_the_same_is_kept_and_another_text_is_rejected(faithful):
    good, other = faithful(completed(row(GOOD), row(OTHER))).to_pylist()
    assert good["reason"] is None
    assert good["similarity"] > 0.8
    assert (other["stage"], other["reason"]) == ("faithful", "low_similarity")
    assert other["similarity"] < 0.2
    assert other["detail"] == f"similarity {other['similarity']:.3f}; the least is 0.5"


def test_without_a_limit_nothing_is_measured_and_no_model_is_loaded():
    table = Faithful(FaithfulConfig(model="/no/such/folder"))(completed(row(OTHER)))
    assert table["similarity"].type == pa.float32()
    assert table["similarity"].to_pylist() == [None]
    assert table["reason"].to_pylist() == [None]


def test_a_limit_of_minus_one_measures_and_drops_nothing(faithful):
    measured = Faithful(FaithfulConfig(min_similarity=-1))(completed(row(OTHER))).to_pylist()[0]
    assert measured["reason"] is None
    assert measured["similarity"] is not None


def test_originals_and_rejected_rows_pass_untouched(faithful):
    table = completed(
        {"id": "o", "style": ORIGINAL, "text": OTHER},
        row(None, reason="refusal", stage="clean", detail="no"),
        {"id": "d", "style": None, "reason": "null_text", "stage": "read"},
    )
    assert faithful(table) == table
    assert faithful(completed()) == completed()


def test_a_text_that_stands_in_several_rows_is_embedded_once(faithful, monkeypatch):
    seen = []
    embed = faithful.encoder.embed
    monkeypatch.setattr(faithful.encoder, "embed", lambda texts: seen.extend(texts) or embed(texts))
    faithful(completed(row(GOOD), row(GOOD), row(OTHER)))
    assert seen == [SOURCE, GOOD, OTHER]


def test_the_similarity_of_a_text_to_itself_is_one_also_beyond_the_window(faithful):
    for text in (GOOD, f"{GOOD} {OTHER} " * 9, "항구는 1190년에 지어졌다. " * 25, " "):
        measured = faithful(completed(row(text, text))).to_pylist()[0]
        assert measured["similarity"] == pytest.approx(1, abs=1e-5)


def test_what_stands_beyond_the_window_counts(faithful):
    head = "The port of Halden was built by monks in the north of the country. " * 14
    whole, its_head = faithful.encoder.embed([head + f"{OTHER} " * 14, head])
    assert whole @ its_head < 0.95


def test_windows_join_back_to_the_text_and_fit_the_encoder(faithful):
    encoder = faithful.encoder
    for text in (f"{GOOD} " * 60, "港口建于一一九零年。" * 120, "a" * 3000, "x" + "é🙂" * 900):
        windows = list(encoder._windows(text))
        assert "".join(windows) == text
        lengths = [len(encoder.model.tokenizer(window)["input_ids"]) for window in windows]
        assert max(lengths) <= encoder.model.max_seq_length


def test_vectors_have_length_one_and_do_not_hang_on_the_batch(faithful):
    texts = [SOURCE, GOOD, OTHER, f"{GOOD} " * 14]
    together = faithful.encoder.embed(texts)
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert together.dtype == np.float32
    alone = np.concatenate([faithful.encoder.embed([text]) for text in texts])
    assert together == pytest.approx(alone, abs=1e-4)


def test_lost_facts_are_named():
    lost = judge(GOOD.replace("1190", "the twelfth century"), keep_numbers=True)
    assert (lost["stage"], lost["reason"]) == ("faithful", "facts_lost")
    assert lost["detail"] == "0.50 of 2 numbers kept, the least is 0.8; lost: 1190"
    lost = judge(GOOD.replace("Halden", "the town"), keep_names=True)
    assert lost["detail"] == "0.00 of 1 names kept, the least is 0.5; lost: Halden"
    assert judge(GOOD, keep_numbers=True, keep_names=True)["reason"] is None
    assert judge("Nothing is left.", keep_numbers=False, keep_names=False)["reason"] is None


def test_a_detail_lists_only_some_of_many_lost_facts():
    source = " and ".join(str(number) for number in range(100, 150))
    assert judge("None.", source, keep_numbers=True)["detail"].endswith(
        "lost: 100, 101, 102, 103, 104, 105, 106, 107, ..."
    )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("1,000 ships", "1000 ships"),
        ("1 000 ships", "1,000 ships"),
        ("1.000 Schiffe", "1000 Schiffe"),
        ("12'345'678 francs", "12 345 678 francs"),
        ("1,234.50 dollars", "1234.5 dollars"),
        ("3,5 Prozent", "3.5 percent"),
        ("50% of them", "50 percent of them"),
        ("\uff11\uff11\uff19\uff10年", "1190年"),
        ("12,000 people", "12.000 Einwohner"),
        ("2 million", "2,000,000"),
        ("1.5 million", "1500000"),
        ("3만 명", "30,000명"),
        ("12亿", "1,200,000,000"),
        ("7 ships", "seven ships"),
        ("the 3rd ship", "the third ship"),
        ("on 24.12.2019", "on December 24, 2019, in month 12"),
        ("25 km² of H2O", "25 square kilometres of water"),
        ("in the 1990s", "around 1990"),
        ("007", "7"),
        ("no number", ""),
        ("٣ سفن", "3 ships"),
    ],
)
def test_a_number_written_in_another_way_is_kept(source, text):
    assert lost_numbers(source, text)[0] == []


@pytest.mark.parametrize(
    ("source", "text", "lost"),
    [
        ("in 1190 and 1421", "in 1190 and 1412", ["1421"]),
        ("1,000 ships", "100 ships", ["1,000"]),
        ("3.5 percent", "35 percent", ["3.5"]),
        ("1190 and 1190", "once", ["1190"]),
        ("38개의 창고", "창고 여러 개", ["38"]),
        ("2 million", "3 million", ["2"]),
    ],
)
def test_a_number_that_is_gone_is_named_once(source, text, lost):
    assert lost_numbers(source, text)[0] == lost


@pytest.mark.parametrize(
    ("source", "text", "lost"),
    [
        ("In 1190 the monk Brand of Halden met Anna.", "Brand came from Halden.", ["Anna"]),
        ("There Marie Curie discovered polonium, in Paris.", "Curie's discovery was made by Marie in Paris.", []),
        ("They met in the House. The house was old, said Ole.", "An old building, says Ole.", []),
        ("Yesterday we sailed. Today we rest.", "Sailing came first.", []),
        ("Он жил в Москве и работал врачом.", "Москва была его домом.", []),
        ("Er ging in den Hafen und kaufte ein Schiff mit dem Geld der Stadt.", "Er erwarb es.", []),
        ("HOW THE PORT Of Halden Was Built", "It was built.", []),
        ("할덴 항구는 NATO와 무관하다.", "항구", []),
        ("哈尔登港建于1190年", "港口", []),
    ],
)
def test_names_are_capital_words_inside_sentences(source, text, lost):
    assert lost_names(source, text)[0] == lost


@given(source=st.text(), text=st.text())
def test_no_text_breaks_the_comparison_of_facts(source, text):
    for compare in (lost_numbers, lost_names):
        lost, had = compare(source, text)
        assert len(lost) <= had
        assert compare(source, source)[0] == []


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ({"min_similarity": 1.5}, "cosine from -1 to 1"),
        ({"min_similarity": -2}, "cosine from -1 to 1"),
        ({"min_numbers_kept": 80}, "For 60% write 0.6"),
        ({"batch_size": 0}, "from 1"),
    ],
)
def test_a_config_out_of_range_is_explained(bad, complaint):
    with pytest.raises(BadRequest, match=complaint):
        FaithfulConfig(**bad)


def test_an_encoder_that_is_not_there_is_a_bad_request(tmp_path):
    for model in ("/no/such/folder", "./none"):
        with pytest.raises(BadRequest, match="no such folder"):
            check_encoder(FaithfulConfig(model=model, min_similarity=0.5))
    check_encoder(FaithfulConfig(model="/no/such/folder"))
    check_encoder(FaithfulConfig(min_similarity=0.5))
    with pytest.raises(BadRequest, match="cannot be loaded"):
        Faithful(FaithfulConfig(model=str(tmp_path), min_similarity=0.5))
    with pytest.raises(BadRequest, match="cannot be loaded"):
        Faithful(FaithfulConfig(model="nobody/no-such-model", min_similarity=0.5))
