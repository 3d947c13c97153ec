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


def test_parts_beside_messages_are_those_of_the_last_question_or_something_else():
    chosen = {"messages": chat(("user", "Add.\n\n1 2"), ("assistant", "3"))}
    assert read(**chosen, parts=["Add.", "1 2"]) == read(instruction="Add.", input="1 2", output="3")
    for parts in (None, [], "Add.", ["Add."], ["1 2", "Add."], ["Add.", 5]):
        assert read(**chosen, parts=parts).parts == ()


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


QA = chat(("user", "Why?"), ("assistant", "So."))


@pytest.mark.parametrize(
    "messages",
    [
        json.dumps(QA),
        {"role": ["user", "assistant"], "content": ["Why?", "So."]},
        {"from": ["human", "gpt"], "value": ["Why?", "So."], "weight": None},
        json.dumps({"role": ["user", "assistant"], "content": ["Why?", "So."]}),
    ],
    ids=["JSON of a list", "lists", "ShareGPT's lists", "JSON of lists"],
)
def test_turns_may_be_text_or_an_object_of_lists(messages):
    assert read(messages=messages) == read(messages=None, conversations=messages) == ASKED


@pytest.mark.parametrize("messages", ["Why? So.", '{"role": "user"', {"role": ["user"], "content": ["a", "b"]}, {}, 5])
def test_what_is_no_list_of_turns_in_any_form_is_told(messages):
    assert reason(messages=messages) == "bad_turns"


def test_the_roles_of_tools_are_read_whatever_they_are_called():
    for call, answer in (("function_call", "observation"), ("tool_call", "tool_response"), ("tool_call", "tool")):
        turns = chat(("human", "Why?"), (call, "look()"), (answer, "42"), ("gpt", "So."), role="from", content="value")
        assert [turn.role for turn in read(conversations=turns).turns] == ["user", "assistant", "tool", "assistant"]


def test_a_prompt_and_its_completion_are_texts_or_turns():
    asked, answered = chat(("user", "Why?")), chat(("assistant", "So."))
    for prompt, completion in (("Why?", "So."), (asked, answered), ("Why?", answered), (asked, "So.")):
        assert read(prompt=prompt, completion=completion) == ASKED
    assert reason(prompt="Why?", completion=None) == "no_answer"
    assert reason(prompt="Why?") == "unknown_form"


def test_of_a_prompt_nothing_is_learned_and_of_its_completion_every_answer():
    prompt = chat(("user", "Why?"), ("assistant", "WRONG"), ("user", "And?"))
    completion = chat(("assistant", "look()"), ("tool", "42"), ("assistant", "So."))
    example = read(prompt=prompt, completion=completion)
    assert example.learned("last") == example.learned("all") == [False, False, False, True, False, True]
    assert [turn.place for turn in example.turns[2:5]] == [
        "turn 3 of prompt",
        "turn 1 of completion",
        "turn 2 of completion",
    ]


def test_each_turn_is_named_as_the_record_has_it():
    named = {
        ("system", "turn 1 of messages", "turn 2 of messages"): {"system": "Be short.", "messages": QA},
        ("round 1 of history", "round 1 of history", "turn 1 of prompt", "completion"): {
            "history": ROUNDS[:1],
            "prompt": QA[:1],
            "completion": "So.",
        },
        ("turn 1 of history", "turn 2 of history", "instruction", "output"): {
            "history": QA,
            "instruction": "Why?",
            "input": "",
            "output": "So.",
        },
        ("system_prompt", "instruction and input", "output"): {
            "system_prompt": "Be short.",
            "instruction": "Why?",
            "input": "x",
            "output": "So.",
        },
        ("turn 2 of conversations", "turn 3 of conversations"): {"conversations": [*chat(("system", " ")), *QA]},
    }
    for places, record in named.items():
        assert tuple(turn.place for turn in read(**record).turns) == places


@pytest.mark.parametrize("column", ["system", "system_prompt"])
def test_a_system_column_is_the_system_turn_unless_there_is_one(column):
    told = (Turn("system", "Be short."), *ASKED.turns)
    system = {column: "Be short."}
    assert read(messages=QA, **system).turns == read(instruction="Why?", output="So.", **system).turns == told
    assert read(prompt="Why?", completion="So.", **system).turns == told
    own = chat(("system", "Be long."))
    assert read(messages=[*own, *QA], **system).turns[0] == Turn("system", "Be long.")
    assert read(messages=[*own, *QA], **system).unused == ("system",)
    assert read(messages=QA, **{column: " "}) == read(messages=QA, **{column: None}) == ASKED
    none = ExampleConfig(system_columns=[])
    assert example_of({"messages": QA, column: "x"}, none) == ASKED


ROUNDS = [["Who?", "He."], ["When?", "Then."]]


@pytest.mark.parametrize(
    "history",
    [
        ROUNDS,
        json.dumps(ROUNDS),
        chat(("user", "Who?"), ("assistant", "He."), ("user", "When?"), ("assistant", "Then.")),
    ],
    ids=["pairs", "JSON", "turns"],
)
def test_the_rounds_before_a_question_stand_before_it(history):
    example = read(system="Be short.", instruction="Why?", input="x", output="So.", history=history)
    said = ["Be short.", "Who?", "He.", "When?", "Then.", "Why?\n\nx", "So."]
    assert [turn.content for turn in example.turns] == said and example.parts == ("Why?", "x")
    assert example.learned("last") == [False] * 6 + [True]
    assert sum(example.learned("all")) == 3
    assert read(instruction="Why?", output="So.", history=[]) == read(instruction="Why?", output="So.", history=None)


def test_a_history_that_is_none_is_told_with_what_to_do():
    for history in ("Rome", [["Who?"]], 5):
        with pytest.raises(NoExample, match=r"bad_turns: .*examples.history_column=null leaves it alone"):
            read(instruction="Why?", output="So.", history=history)
    left = ExampleConfig(history_column=None)
    assert example_of({"instruction": "Why?", "output": "So.", "history": "Rome"}, left).turns == ASKED.turns


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking"])
def test_what_was_thought_belongs_to_its_turn(field):
    turns = [QA[0], QA[1] | {field: "Hm."}]
    assert read(messages=turns).turns == (ASKED.turns[0], Turn("assistant", "So.", reasoning="Hm."))
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "So."}]
    assert read(messages=chat(("user", "Why?"), ("assistant", parts))) == read(messages=turns)


CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": {"at": "mill"}}}


@pytest.mark.parametrize(
    "call",
    [
        {"tool_calls": [CALL]},
        {"tool_calls": json.dumps([CALL])},
        {"tool_calls": [CALL | {"index": None, "function": CALL["function"] | {"arguments": '{"at": "mill"}'}}]},
        {"tool_calls": [{"id": "c1", "name": "look", "arguments": {"at": "mill", "by": None}}]},
    ],
    ids=["objects", "JSON", "arguments in JSON, nulls of Arrow", "without function"],
)
def test_calls_of_tools_have_one_form(call):
    turns = [
        QA[0],
        {"role": "assistant", "content": None} | call,
        {"role": "tool", "content": "42", "name": "look"},
        QA[1],
    ]
    called, answer = read(messages=turns, tools=[{"name": "look", "x": None}]).turns[1:3]
    assert json.loads(called.calls) == [CALL] and called.content == ""
    assert answer == Turn("tool", "42", name="look")
    assert read(messages=turns[:2]).learned("last") == [False, True]


@pytest.mark.parametrize("tools", [[{"name": "look", "x": None}], json.dumps([{"name": "look"}])])
def test_the_definitions_of_tools_are_kept_without_nulls(tools):
    assert read(messages=QA, tools=tools).tools == '[{"name": "look"}]'
    assert read(messages=QA, tools=[]).tools == read(messages=QA, tools="[]").tools == ""


@pytest.mark.parametrize(
    "flag, learned",
    [
        ({"weight": 0}, False),
        ({"weight": 1}, True),
        ({"train": False}, False),
        ({"trainable": True}, True),
        ({"loss": False}, False),
        ({"loss": 0.3}, None),
        ({"weight": None}, None),
        ({"train": None, "weight": 0}, False),
    ],
    ids=str,
)
def test_a_turn_may_say_itself_whether_it_is_learned(flag, learned):
    turns = [QA[0], QA[1] | flag, *chat(("user", "And?"), ("assistant", "Thus."))]
    example = read(messages=turns)
    assert example.turns[1].learned is learned
    assert example.learned("last") == [False, bool(learned), False, True]
    assert example.learned("all") == [False, learned is not False, False, True]


def test_a_chat_of_which_no_answer_is_to_be_learned_is_none():
    assert reason(messages=[QA[0], QA[1] | {"weight": 0}]) == "no_answer"
    assert reason(messages=[QA[0], QA[1] | {"weight": "no"}]) == "bad_turns"


@pytest.mark.parametrize("told", ["[{'name': 'look'}]", "look()", '{"at": "mill"}', "5", {"name": "look"}])
@pytest.mark.parametrize("content", [None, "Let me look."])
def test_calls_in_a_form_that_is_not_known_are_told_whatever_stands_beside_them(told, content):
    called = {"role": "assistant", "content": content, "tool_calls": told}
    assert reason(messages=[QA[0], called, {"role": "tool", "content": "42"}, QA[1]]) == "tool_calls"


@pytest.mark.parametrize("none", ["", " ", "null", "[]", [], None])
def test_no_calls_are_none_in_any_form(none):
    assert read(messages=[QA[0] | {"tool_calls": none}, QA[1] | {"tool_calls": none}]) == ASKED


@pytest.mark.parametrize(
    "told, text",
    [
        (["Be ", {"type": "text", "text": "short."}], "Be short."),
        ({"content": "Be short."}, "Be short."),
        ({"role": "system", "content": [{"type": "text", "text": "Be short."}], "value": None}, "Be short."),
        ([], ""),
        ({"content": None}, ""),
    ],
    ids=["parts", "object", "object of parts", "no parts", "empty object"],
)
def test_a_system_column_has_the_forms_that_a_turns_content_has(told, text):
    example = read(messages=QA, system=told)
    assert [turn.content for turn in example.turns if turn.role == "system"] == [text] * bool(text)
    assert example.turns[-2:] == ASKED.turns and example.unused == ()


@pytest.mark.parametrize("told", [5, True, {"os": "linux"}, [{"type": "image_url", "image_url": "x"}]], ids=str)
def test_a_system_column_that_says_nothing_is_told(told):
    assert read(messages=QA, system=told) == Example(ASKED.turns, unused=("system",))


def test_of_two_that_say_different_things_the_second_is_told():
    both = read(messages=QA, system="Be short.", system_prompt="Be long.")
    assert both.turns[0].content == "Be short." and both.unused == ("system",)
    assert read(messages=QA, system="Be short.", system_prompt="Be short.").unused == ()
    assert read(messages=QA, system=" ", system_prompt="Be long.").turns[0].content == "Be long."
    thought = read(messages=[QA[0], QA[1] | {"reasoning_content": "", "thinking": "Hm.", "reasoning": "Ah."}])
    assert thought.turns[1].reasoning == "Hm." and thought.unused == ("reasoning_content",)
    flagged = read(messages=[*QA, QA[0], QA[1] | {"weight": 1, "train": False}])
    assert flagged.turns[3].learned and flagged.unused == ("train",)
    called = {"role": "assistant", "tool_calls": [{"name": "look"}], "function_call": {"name": "hear"}}
    example = read(messages=[QA[0], called])
    assert "look" in example.turns[1].calls and example.unused == ("function_call",)


@pytest.mark.parametrize("field", ["tool_calls", "function_call", "name", "tool_call_id"])
def test_what_only_another_side_may_have_is_told(field):
    value = {"tool_calls": [{"name": "look"}], "function_call": {"name": "look"}}.get(field, "look")
    assert read(messages=[QA[0] | {field: value}, QA[1]]) == Example(ASKED.turns, unused=(field,))


def test_what_has_no_use_is_named():
    assert read(messages=[QA[0] | {"train": True, "reasoning": "x"}, QA[1] | {"weight": 0.5}]).unused == (
        "reasoning_content",
        "weight",
    )
    assert read(messages=QA, history=ROUNDS, tools=["look"]).unused == ("history", "tools")
    assert read(messages=QA, tools="a hammer").unused == ("tools",) and read(messages=QA, tools=" ").unused == ()
    assert read(messages=[QA[0], QA[1] | {"train_detail": [{"begin": 0}]}]).unused == ("train_detail",)
    assert read(text="x", system="y", history=ROUNDS, tools=[{"name": "z"}]).unused == ("history", "system", "tools")
    assert read(messages=QA, system=None, tools=None, id=3).unused == ()


NULL = float("nan")  # as pandas writes it


@pytest.mark.parametrize(
    "record",
    [
        {"instruction": "Why?", "input": NULL, "output": "So.", "history": NULL, "system": NULL, "tools": NULL},
        {"messages": NULL, "conversations": NULL, "instruction": "Why?", "output": "So."},
        {"messages": [QA[0], QA[1] | dict.fromkeys(("weight", "train", "tool_calls", "reasoning", "name"), NULL)]},
        {"messages": [QA[0] | {"from": NULL}, QA[1] | {"role": NULL, "from": "gpt", "function_call": NULL}]},
        {"messages": json.dumps([QA[0], QA[1] | {"weight": NULL}])},
        {"messages": {"role": ["user", "assistant"], "content": ["Why?", "So."], "weight": NULL}},
        {"messages": {"role": ["user", "assistant"], "content": ["Why?", "So."], "weight": [NULL, NULL]}},
        {"prompt": QA[:1], "completion": [QA[1] | {"weight": NULL}], "instruction": NULL},
        {"text": NULL, "prompt": "Why?", "completion": "So."},
    ],
    ids=["columns", "messages", "fields", "roles", "JSON", "a list of them", "lists", "completion", "text"],
)
def test_a_null_of_pandas_is_nothing_wherever_it_stands(record):
    example = read(**record)
    assert example.turns == ASKED.turns and example.unused == ()


def test_a_null_of_pandas_in_what_tools_are_called_with_is_left_out():
    called = {"role": "assistant", "tool_calls": [{"name": "look", "arguments": {"at": "mill", "by": NULL}}]}
    (turn,) = read(messages=[QA[0], called]).turns[1:]
    assert json.loads(turn.calls)[0]["function"]["arguments"] == {"at": "mill"}


def test_half_a_surrogate_pair_is_told_wherever_it_stands():
    half = json.loads('"\\ud800"')
    assert reason(messages=[QA[0], QA[1] | {"reasoning_content": half}]) == "invalid_utf8"
    assert reason(messages=QA, system=half) == "invalid_utf8"
    assert reason(messages=QA, tools=[{"name": half}]) == "invalid_utf8"
