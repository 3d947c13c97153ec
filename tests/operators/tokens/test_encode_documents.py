import json

import pyarrow as pa
import pytest

from operators.errors import BadRequest
from operators.examples.prompting.encoding import LONGEST
from operators.table import DOCUMENTS, reject
from operators.text.tokenizer import contents_digest, eos_of, load_tokenizer
from operators.tokens.encode_documents import Encode, EncodeConfig, vocabulary_of
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


def test_all_of_a_document_is_learned(model):
    assert Encode(EncodeConfig(model))(documents("a"))["targets"].to_pylist() == [None]


def test_a_rejected_document_passes_by(model):
    table = Encode(EncodeConfig(model))(reject(documents("a", "b"), "read", {0: ("empty_text", None)}))
    assert table["tokens"].to_pylist()[0] is None and table["tokens"].to_pylist()[1]


def test_a_text_of_one_long_line_has_the_tokens_it_would_have_in_one_go(model):
    encode = Encode(EncodeConfig(model))
    text = "the mill by the river " * (LONGEST // 10)
    (tokens,) = encode(documents(text))["tokens"].to_pylist()
    assert tokens[:-1] == encode.tokenizer.encode(text, add_special_tokens=False).ids


def test_no_tokenizer_no_end_token_and_an_unknown_one_are_told(model, tmp_path):
    with pytest.raises(BadRequest, match=r"pack.tokenizer is not given"):
        Encode(EncodeConfig())
    with pytest.raises(BadRequest, match=r"pack.template: no template 'vicuna'. There are: alpaca, chat"):
        EncodeConfig(model, template="vicuna")
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
