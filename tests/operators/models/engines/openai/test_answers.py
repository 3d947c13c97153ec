"""The forms in which servers send a completion, each as bytes."""

import gzip
import json
from typing import Any

import pytest

from operators.models.engines.base import Completion
from operators.models.engines.openai.answers import read_answer
from operators.models.engines.openai.protocol import Fault, ServerError
from tests.fakes.scripted_server import TEXT, chat, error

COUNTS = {"prompt_tokens": 50, "completion_tokens": 40}


def read(body: Any, max_tokens: int = 100) -> Completion:
    return read_answer(body if isinstance(body, bytes) else json.dumps(body).encode(), max_tokens)


def events(*bodies: Any, end: str = "data: [DONE]\n\n") -> bytes:
    return ("".join(f"data: {json.dumps(body)}\n\n" for body in bodies) + end).encode()


def deltas(*pieces: Any, reason: Any = None) -> list[dict]:
    return [{"choices": [{"index": 0, "delta": piece, "finish_reason": None}]} for piece in pieces[:-1]] + [
        {"choices": [{"index": 0, "delta": pieces[-1], "finish_reason": reason}]}
    ]


THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "Let me see."}]}
HALVES = {"content": TEXT[:40]}, {"content": TEXT[40:]}


@pytest.mark.parametrize(
    "body",
    [
        chat(),
        chat([{"type": "text", "text": TEXT}]),
        chat([THINKING, {"type": "text", "text": TEXT[:9]}, {"type": "text", "text": TEXT[9:]}]),
        chat([{"text": "hm", "thought": True}, {"text": TEXT}]),
        chat([{"type": "reasoning", "text": "hm"}, {"type": "output_text", "text": TEXT, "annotations": []}]),
        chat([{"type": "text", "text": {"value": TEXT}}]),
        chat([TEXT[:9], TEXT[9:]]),
        chat({"type": "text", "text": TEXT}),
        chat({"parts": [{"text": TEXT}]}),
        chat(reasoning_content="Okay, the user wants a paraphrase."),
        chat(reasoning="hm", reasoning_details=[{"type": "reasoning.text", "text": "hm"}], thinking="hm"),
        chat(refusal=None, tool_calls=[], function_call=None),
        chat(reason="eos_token"),
        {**chat(), "error": None, "extra_field": {"a": 1}},
        {"choices": [{"text": TEXT, "finish_reason": "stop", "logprobs": None}], "usage": COUNTS},
        {"choices": [{"message": TEXT, "finish_reason": "stop"}], "usage": COUNTS},
        {"choices": [{"message": None, "text": TEXT, "finish_reason": "stop"}], "usage": COUNTS},
        b"\xef\xbb\xbf" + json.dumps(chat()).encode(),
        json.dumps(chat()).encode("utf-16"),
        gzip.compress(json.dumps(chat()).encode()),
        events(*deltas(*HALVES), {"choices": [], "usage": COUNTS}),
        events(*deltas({"role": "assistant", "content": ""}, {"reasoning_content": "hm"}, *HALVES, {}, reason="stop"),
               {"choices": [], "usage": COUNTS}, end=""),
        events(chat()),
        events({"choices": [{"text": TEXT, "index": 0, "finish_reason": "stop"}], "usage": COUNTS}),
        b": ping\r\n\r\nevent: message\r\n" + events({**deltas({"content": TEXT})[0], "usage": COUNTS}).replace(b"\n", b"\r\n"),
        events(*deltas({"content": [THINKING]}, {"content": [{"type": "text", "text": TEXT}]}), {"usage": COUNTS}),
    ],
)  # fmt: skip
def test_the_text_is_found_in_every_form_and_reasoning_is_left_out(body):
    assert read(body) == Completion(TEXT, "stop", 50, 40)


@pytest.mark.parametrize(
    "body",
    [
        chat(reason="max_tokens"),
        *(chat(reason=nothing) for nothing in (None, "", " ", {}, {"type": None})),
        events(*deltas(*HALVES), {"usage": COUNTS}),
        events(*deltas(*HALVES, reason={}), {"usage": COUNTS}),
    ],
)
def test_an_answer_as_long_as_its_cap_is_capped_whether_the_server_says_so_or_not(body):
    assert read(body, max_tokens=40).finish_reason == "length"


def ended(**said) -> dict:
    """Give an answer whose choice says more, or something else, of its end."""
    body = chat()
    body["choices"][0] |= said
    return body


ELSEWHERE = [
    {"finish_reason": None, "stop_reason": "max_tokens"},
    {"finish_reason": "", "native_finish_reason": "MAX_TOKENS"},
    {"finish_reason": {}, "finish_details": {"type": "max_tokens"}},
    {"finish_details": {"type": "max_tokens"}, "finish_reason": None, "stop_reason": None},
]


@pytest.mark.parametrize("said", ELSEWHERE)
def test_an_end_that_is_told_elsewhere_than_as_finish_reason_is_heard(said):
    streamed = deltas(*HALVES)
    streamed[-1]["choices"][0] |= said
    assert [read(body).finish_reason for body in (ended(**said), events(*streamed, end=""))] == ["length"] * 2
    assert read(ended(stop_reason="max_tokens")).finish_reason == "stop"  # vLLM has the stop string there


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (chat(None), "no text came (finish_reason 'stop' after 40 tokens)."),
        (chat([]), "no text came"),
        (chat([THINKING]), "nothing but reasoning came"),
        (chat({"type": "image_url"}), "no text came"),
        (
            chat(None, "length", reasoning_content="Okay, " * 9),
            "54 characters (finish_reason 'length' after 40 tokens). Raise",
        ),
        (chat("", "length", reasoning="Okay"), "nothing but reasoning came"),
        (chat(" \n", reasoning_details=[{"text": "Okay"}]), "nothing but reasoning came"),
        (events(*deltas({"reasoning_content": "Okay"}, {"reasoning_content": "."}, reason="stop")), "5 characters"),
    ],
)
def test_an_answer_without_a_text_says_what_came_instead_and_is_final(body, detail):
    completion = read(body)
    assert (completion.text, completion.error) == (None, "no_text") and detail in completion.detail


@pytest.mark.parametrize("content", [None, [{"type": "refusal", "refusal": "I cannot help with this."}]])
def test_a_refusal_is_told_in_the_models_words(content):
    own = {} if content else {"refusal": "I cannot help with this."}
    completion = read(chat(content, **own))
    assert (completion.text, completion.error, completion.detail) == (None, "refusal", "I cannot help with this.")


@pytest.mark.parametrize(
    ("body", "word", "detail"),
    [
        (chat(TEXT[:95], "abort"), "unfinished", "finish_reason 'abort' after 95 characters"),
        (chat(TEXT[:95], "error"), "unfinished", "finish_reason 'error'"),
        (chat(TEXT[:95], "never heard of"), "unfinished", "never heard of"),
        (chat(TEXT[:95], "content_filter"), "filtered", "content_filter"),
        (chat(None, "content_filter"), "filtered", "after 0 characters"),
        (chat(TEXT, "tool_calls"), "tool_call", "tool_calls"),
        (chat(None, "stop", tool_calls=[{"function": {"name": "f"}}]), "tool_call", "'stop'"),
        ({"choices": [{"message": {"content": "The"}, "finish_reason": "error", "error": {"message": "overloaded"}}]},
         "unfinished", "overloaded"),
        (events(*deltas(*HALVES, reason="abort")), "unfinished", "'abort'"),
        (ended(error={"message": "upstream died"}), "unfinished", "'stop' after 113 characters: upstream died"),
        (ended(finish_reason="length", error="upstream died"), "unfinished", "upstream died"),
        (ended(finish_reason="content_filter", error="upstream died"), "filtered", "upstream died"),
        (ended(finish_reason=None, native_finish_reason="SAFETY"), "filtered", "'SAFETY'"),
        (events({"choices": [{"delta": {"content": TEXT}, "finish_reason": "stop", "error": "upstream died"}]}),
         "unfinished", "upstream died"),
    ],
)  # fmt: skip
def test_half_an_answer_is_a_failure_that_may_pass_and_was_paid_for(body, word, detail):
    with pytest.raises(Fault) as caught:
        read(body)
    assert caught.value.error == word and detail in caught.value.detail and caught.value.answered


def test_a_stream_that_breaks_off_is_no_answer():
    with pytest.raises(Fault, match="broke off") as caught:
        read(events(*deltas(*HALVES), end=""))
    assert caught.value.error == "endpoint_error"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"id": None, "choices": None, "error": {"message": "Provider returned error", "code": 429}}, 429),
        ({**chat(), **error("upstream is gone", "502")}, 502),
        (error("no such model", "model_not_found"), 404),
        (error("unknown field min_p", None, type="invalid_request_error"), 400),
        ({"object": "error", "message": "unknown field min_p", "code": 400}, 400),
        ({"error": "something broke"}, 500),
        ({"message": "Too many tenants"}, 500),
        (events(*deltas(HALVES[0]), error("overloaded", 503)), 503),
    ],
)
def test_an_error_under_a_good_status_is_an_error_of_the_status_that_it_names(body, status):
    with pytest.raises(ServerError) as caught:
        read(body)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"choices": []}',
        b'{"choices": [3]}',
        b'{"choices": [{"index": 0}]}',
        b'{"choices": [{"message": {"content": 7}}], "usage": 3}',
        b"\xff\xfe",
        b"[" * 10**5,
        b"\x1f\x8b\x08broken",
        b"data: {\n\n",
        b"data: [DONE]\n\n",
        b"<html>",
    ],
)
def test_what_is_no_completion_is_a_bad_answer(content):
    with pytest.raises(Fault, match="bad_answer"):
        read(content)


def test_odd_characters_and_counts_are_read():
    text = read(b'{"choices": [{"text": "a\\ud83d", "finish_reason": "max_tokens"}], "usage": {"prompt_tokens": "x"}}')
    assert text == Completion("a?", "length")
    usage = b'{"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 8}}'
    assert read(b'{"choices": [{"text": ""}], "usage": ' + usage + b"}") == Completion("", "stop", 9, 2, 8)
