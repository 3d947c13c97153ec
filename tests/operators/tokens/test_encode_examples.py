import json

import pyarrow as pa
import pytest

from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.table import DOCUMENTS, reject
from operators.tokens.encode_documents import EncodeConfig
from operators.tokens.encode_examples import EncodeExamples
from tests.operators.examples.prompting.tokenizers import KINDS

ASKED = {"instruction": "on", "output": "A mill"}


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request, tmp_path_factory) -> str:
    return KINDS[request.param](tmp_path_factory.mktemp(request.param))


def records(*contents: dict) -> pa.Table:
    rows = [dict.fromkeys(DOCUMENTS.names) | {"text": json.dumps(one), "position": n} for n, one in enumerate(contents)]
    return pa.Table.from_pylist(rows, DOCUMENTS)


def encode(tokenizer: str, template: str = "plain", **config) -> EncodeExamples:
    return EncodeExamples(EncodeConfig(tokenizer, template=template, **config), ExampleConfig())


def test_the_answer_and_its_end_are_learned(tokenizer):
    one = encode(tokenizer)
    table = one(records(ASKED, {"text": "A mill"}))
    (asked, plain), (learned, all_of_it) = table["tokens"].to_pylist(), table["targets"].to_pylist()
    answer = [token for token, target in zip(asked, learned, strict=True) if target]
    assert answer == asked[-len(answer) :] and answer[-1] == plain[-1] == one.eos
    assert all_of_it == [False] * (one.bos is not None) + [True] * (len(plain) - (one.bos is not None))


def test_a_named_begin_token_is_taken_in_place_of_the_tokenizers(tmp_path):
    path = KINDS["metaspace"](tmp_path)
    assert [
        encode(path, **words)(records(ASKED))["tokens"].to_pylist()[0][0] for words in ({}, {"bos_token": "</s>"})
    ] == [1, 2]


def test_what_is_no_example_leaves_with_its_reason_and_the_rejected_pass_by(tokenizer):
    table = reject(records(ASKED, {"body": "x"}, ASKED, {"instruction": "on"}), "read", {2: ("null_text", None)})
    encoded = encode(tokenizer)(table)
    assert encoded["reason"].to_pylist() == [None, "unknown_form", "null_text", "no_answer"]
    assert encoded["stage"].to_pylist() == [None, "example", "read", "example"]
    assert [tokens is None for tokens in encoded["tokens"].to_pylist()] == [False, True, True, True]
    assert encode(tokenizer)(table[:0]).schema == encoded.schema


def test_what_the_template_has_no_place_for_stands_apart_from_what_no_example_has(tokenizer):
    answer = {"role": "assistant", "content": "A mill", "weight": 0.5, "reasoning_content": "Hm."}
    told = {"messages": [{"role": "user", "content": "on"}, answer], "tools": [{"name": "look"}]}
    table = encode(tokenizer)(records(told, ASKED, {"body": "x"}))
    assert table["unplaced"].to_pylist() == [["reasoning_content", "tools"], [], None]
    assert table["unused"].to_pylist() == [["weight"], [], None]


def test_a_chat_template_is_wanted_where_it_is_asked_for(tokenizer):
    with pytest.raises(BadRequest, match=r"has no chat template"):
        encode(tokenizer, "chat")
