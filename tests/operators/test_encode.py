import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.encode import LONGEST, Encode, EncodeConfig, eos_of, stretches, vocabulary_of
from operators.errors import BadRequest
from operators.table import DOCUMENTS, reject
from operators.tokenizer import contents_digest, load_tokenizer
from tests.tiny_model import make_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(make_tiny_model(tmp_path_factory.mktemp("model")))


def documents(*texts: str, **columns) -> pa.Table:
    rows = [
        dict.fromkeys(DOCUMENTS.names)
        | {"document_id": str(i), "text": text, "metadata": json.dumps(columns) if columns else None, "position": i}
        for i, text in enumerate(texts)
    ]
    return pa.Table.from_pylist(rows, DOCUMENTS)


def test_a_document_is_its_tokens_and_the_end_token(model):
    encode = Encode(EncodeConfig(model))
    (tokens,) = encode(documents("물레방아 and a mill 🌾"))["tokens"].to_pylist()
    assert tokens[-1] == encode.eos
    assert encode.tokenizer.decode(tokens[:-1]) == "물레방아 and a mill 🌾"


def test_what_looks_like_an_end_token_in_a_page_is_text(model):
    encode = Encode(EncodeConfig(model))
    (tokens,) = encode(documents("an <|end|> in a page"))["tokens"].to_pylist()
    assert tokens.count(encode.eos) == 1


def test_a_begin_token_stands_before_every_document(model):
    tokens = Encode(EncodeConfig(model, bos_token="<|user|>"))(documents("a", "b"))["tokens"].to_pylist()
    assert [row[0] for row in tokens] == [load_tokenizer(model).token_to_id("<|user|>")] * 2


def test_prompt_columns_are_read_and_not_learned(model):
    encode = Encode(EncodeConfig(model, prompt_columns=["instruction", "input"]))
    table = encode(documents("Bread.", instruction="What is made of flour?", input=""))
    (tokens,), (prompt,) = table["tokens"].to_pylist(), table["prompt_tokens"].to_pylist()
    assert encode.tokenizer.decode(tokens[:prompt]) == "What is made of flour?\n\n"
    assert encode.tokenizer.decode(tokens[prompt:-1]) == "Bread."


def test_a_missing_prompt_column_says_which_there_are(model):
    with pytest.raises(ValueError, match=r"no column 'instruction' \(pack.prompt_columns\). There are: prompt"):
        Encode(EncodeConfig(model, prompt_columns=["instruction"]))(documents("x", prompt="y"))


def test_a_rejected_document_passes_by(model):
    table = Encode(EncodeConfig(model))(reject(documents("a", "b"), "read", {0: ("empty_text", None)}))
    assert table["tokens"].to_pylist()[0] is None and table["tokens"].to_pylist()[1]


def test_a_text_of_one_long_line_has_the_tokens_it_would_have_in_one_go(model):
    encode = Encode(EncodeConfig(model))
    text = "the mill by the river " * (LONGEST // 10)
    (tokens,) = encode(documents(text))["tokens"].to_pylist()
    assert tokens[:-1] == encode.tokenizer.encode(text, add_special_tokens=False).ids


@given(st.text(alphabet="ab \n가", max_size=200), st.integers(2, 20))
def test_stretches_join_to_the_text(text, longest):
    pieces = list(stretches(text, longest))
    assert "".join(pieces) == text and all(0 < len(piece) <= longest for piece in pieces)


def test_no_tokenizer_no_end_token_and_an_unknown_one_are_told(model, tmp_path):
    with pytest.raises(BadRequest, match=r"pack.tokenizer is not given"):
        Encode(EncodeConfig())
    with pytest.raises(
        BadRequest, match=r"pack.eos_token: '</s>' is none of its tokens. Its special tokens are: <|assistant"
    ):
        Encode(EncodeConfig(model, eos_token="</s>"))
    load_tokenizer(model).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(BadRequest, match=r"pack.eos_token: .* does not say which it is"):
        Encode(EncodeConfig(str(tmp_path)))
    assert eos_of(model) == "<|end|>"


def test_copies_of_a_tokenizer_have_one_digest_and_others_another(model, tmp_path):
    tokenizer = load_tokenizer(model)
    tokenizer.enable_truncation(5)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert contents_digest(load_tokenizer(str(tmp_path))) == contents_digest(load_tokenizer(model))
    tokenizer.add_tokens(["molinillo"])
    assert contents_digest(tokenizer) != contents_digest(load_tokenizer(model))
    assert vocabulary_of(tokenizer) == vocabulary_of(load_tokenizer(model)) + 1
