import json

import pytest

from operators.errors import BadRequest
from operators.examples.base import Example, ExampleConfig, NoExample, Turn, example_of

ASKED = Example((Turn("user", "Why?"), Turn("assistant", "So.")))


def read(**record) -> Example:
    return example_of(record, ExampleConfig())


def reason(config: ExampleConfig | None = None, **record) -> str:
    with pytest.raises(NoExample) as refusal:
        example_of(record, config or ExampleConfig())
    return refusal.value.reason


def chat(*pairs: tuple, role: str = "role", content: str = "content") -> list[dict]:
    return [{role: who, content: what} for who, what in pairs]


def test_the_known_forms_of_a_chat_are_one_example():
    assert read(messages=chat(("user", "Why?"), ("assistant", "So."))) == ASKED
    assert read(conversations=chat(("human", "Why?"), ("gpt", "So."), role="from", content="value")) == ASKED
    assert read(messages=None, conversations=chat(("prompter", "Why?"), ("Assistant", "So."))) == ASKED
    talk = {"talk": chat(("user", "Why?"), ("model", "So."))}
    assert example_of(talk, ExampleConfig(messages_column="talk")) == ASKED


def test_columns_are_joined_to_a_question_and_their_parts_are_kept():
    example = read(instruction="Add.", input="1 2", output="3")
    assert example.turns == (Turn("user", "Add.\n\n1 2"), Turn("assistant", "3")) and example.parts == ("Add.", "1 2")
    assert (
        read(instruction="Add.", input=None, output="3").parts
        == ("Add.",)
        == read(instruction="Add.", output="3").parts
    )


def test_other_columns_than_alpacas_are_named():
    config = ExampleConfig(prompt_columns=["question"], answer_column="answer")
    assert example_of({"question": "1+2?", "answer": "#### 3"}, config).answer == "#### 3"


def test_a_text_is_an_example_without_turns():
    assert read(text="A mill.") == Example(text="A mill.")
    assert read(text="A mill.").answer == read(text="A mill.").spoken == "A mill."
    assert ASKED.answer == "So." and ASKED.spoken == "Why?\nSo."


def test_what_nobody_answered_is_left_out():
    more = chat(("system", "Be short."), ("user", "Why?"), ("assistant", "So."), ("user", "And?"), ("tool", "7"))
    assert [turn.role for turn in read(messages=more).turns] == ["system", "user", "assistant"]


@pytest.mark.parametrize("nothing", ["", " \n", None])
def test_a_system_turn_that_says_nothing_is_none(nothing):
    assert read(messages=chat(("system", nothing), ("user", "Why?"), ("assistant", "So."))) == ASKED


def test_tools_speak_and_their_calls_in_words_are_the_assistants():
    turns = chat(("human", "Why?"), ("function_call", "look()"), ("observation", "42"), ("gpt", "So."))
    assert [turn.role for turn in read(conversations=turns).turns] == ["user", "assistant", "tool", "assistant"]


def test_content_may_be_parts_of_text():
    parts = [{"type": "text", "text": "Wh"}, {"type": "text", "text": "y?"}]
    assert read(messages=chat(("user", parts), ("assistant", ["So."]))) == ASKED


@pytest.mark.parametrize(
    "record, expected",
    [
        ({}, "unknown_form"),
        ({"body": "x", "answer": "y"}, "unknown_form"),
        ({"messages": "Why? So."}, "bad_turns"),
        ({"messages": ["Why?", "So."]}, "bad_turns"),
        ({"messages": chat(("user", "Why?"), ("narrator", "So."))}, "bad_turns"),
        ({"messages": chat(("user", "Why?"), (None, "So."))}, "bad_turns"),
        ({"messages": chat(("user", "Why?"), ({"name": "assistant"}, "So."))}, "bad_turns"),
        (
            {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [{"id": 1}]}]},
            "tool_calls",
        ),
        ({"messages": chat(("user", [{"type": "image_url", "image_url": "x"}]), ("assistant", "So."))}, "not_text"),
        ({"messages": chat(("user", "Why?"), ("assistant", 5))}, "not_text"),
        ({"messages": []}, "no_answer"),
        ({"messages": chat(("user", "Why?"))}, "no_answer"),
        ({"messages": chat(("user", "Why?"), ("assistant", " \n"))}, "no_answer"),
        ({"messages": chat(("user", "Why?"), ("assistant", None))}, "no_answer"),
        ({"messages": chat(("user", " "), ("assistant", "So."))}, "no_question"),
        ({"messages": chat(("assistant", "Hello."))}, "no_question"),
        ({"instruction": "Why?", "output": ""}, "no_answer"),
        ({"instruction": "Why?"}, "no_answer"),
        ({"instruction": "", "input": " ", "output": "So."}, "no_question"),
        ({"instruction": ["Why?"], "output": "So."}, "not_text"),
        ({"text": " \u3000"}, "empty"),
        ({"text": 5}, "not_text"),
        (json.loads('{"text": "half \\ud800"}'), "invalid_utf8"),
        (json.loads('{"instruction": "Why?", "output": "\\udc00"}'), "invalid_utf8"),
        (
            {"messages": chat(("user", [json.loads('"\\ud83d"'), json.loads('"\\ude00"')]), ("assistant", "So."))},
            "invalid_utf8",
        ),
    ],
)
def test_a_record_that_is_no_example_has_a_reason(record, expected):
    assert reason(**record) == expected


def test_an_unknown_form_says_which_columns_there_are():
    with pytest.raises(NoExample, match=r"no column messages, instruction or text; the columns are: body, url"):
        read(body="x", url="y")


def test_settings_that_cannot_be_are_told():
    with pytest.raises(BadRequest, match=r"examples.turns is 'first'. It may be last or all"):
        ExampleConfig(turns="first")
    with pytest.raises(BadRequest, match=r"examples.prompt_columns is empty"):
        ExampleConfig(prompt_columns=[])
