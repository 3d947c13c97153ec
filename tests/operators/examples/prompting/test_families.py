"""What is learned of a chat under the chat templates of the field's families."""

import itertools
import json
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.examples.base import ExampleConfig, NoExample, example_of
from operators.examples.prompting import FRAMES, Prompting, PromptingConfig
from operators.examples.prompting.chat import Chat
from operators.examples.prompting.jinja import DATE
from tests.operators.examples.prompting.chat_templates import FAMILIES, ODD, family

THINKING = ("qwen_3", "prompts_for_thought")
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": None}}}]


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> dict[str, str]:
    return {name: family(tmp_path_factory.mktemp(name), name) for name in FAMILIES | ODD}


def user(content: str) -> dict:
    return {"role": "user", "content": content}


def assistant(content: str, **more) -> dict:
    return {"role": "assistant", "content": content} | more


def system(content: str) -> dict:
    return {"role": "system", "content": content}


@cache
def prompting(path: str, turns: str, score_eos: bool) -> Prompting:
    return Prompting(PromptingConfig("chat", score_eos=score_eos), path, turns)


class Read:
    """What becomes of a record: the text of its tokens, what of it is learned, and what has no place."""

    def __init__(self, path: str, turns: str = "all", score_eos: bool = True, direct: bool = False, **record):
        self.one = prompting(path, turns, score_eos)
        example = example_of(record, ExampleConfig(turns=turns))
        (tokens,) = self.one.tokenise([example])
        if isinstance(tokens, NoExample):
            raise tokens
        self.unplaced = set(tokens.unplaced)
        self.text, self.learned = self._spelt(tokens)
        ((_, alone),) = self.one.tokenise_both([example])
        self.direct, _ = self._spelt(alone)

    def _spelt(self, tokens) -> tuple[str, list[str]]:
        groups = itertools.groupby(
            zip(tokens.ids.tolist(), tokens.answer.tolist(), strict=True), key=lambda pair: pair[1]
        )
        spelt = [(learned, self.decode([token for token, _ in some])) for learned, some in groups]
        return "".join(text for _, text in spelt), [text for learned, text in spelt if learned]

    def decode(self, ids: list[int]) -> str:
        return self.one.tokenizer.decode(ids, skip_special_tokens=False)


END = {
    "chatml": "<|im_end|>",
    "llama_3": "<|eot_id|>",
    "qwen_3": "<|im_end|>",
    "prompts_for_thought": "<|im_end|>",
    "mistral": "</s>",
    "gemma": "<end_of_turn>",
}
SAID = st.text(alphabet="ab.\n <>|/", min_size=1, max_size=8).filter(str.strip)
THOUGHTS = st.sampled_from(["", "", "<think>\nhm\n</think>\n\n", "<think>a<b</think>"])


@cache
def theirs(path: str):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path)


def whole(path: str, messages: list[dict], ask: bool = False, **more) -> str:
    """Render by transformers itself."""
    today = {"strftime_now": lambda form: DATE}
    return theirs(path).apply_chat_template(messages, tokenize=False, add_generation_prompt=ask, **today, **more)


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=20)
@given(rounds=st.lists(st.tuples(SAID, THOUGHTS, SAID), min_size=1, max_size=3), told=st.booleans())
def test_what_follows_the_prompt_for_an_answer_is_learned_up_to_its_end_and_no_word_of_a_question(
    paths, name, rounds, told
):
    path, end = paths[name], END[name]
    messages = [system("SYS")] if told and name != "gemma" else []
    for question, thought, answer in rounds:
        messages += [user(f"Q{question}Q"), assistant(f"{thought}A{answer}A")]
    read = Read(path, "last", messages=messages)
    rendered, asked = whole(path, messages), whole(path, messages[:-1], ask=True)
    eos = "<eos>" if name == "gemma" else ""
    assert read.text == rendered.removesuffix("\n") + eos
    if name != "mistral":  # whose prompt for an answer is the end of the question
        assert rendered.startswith(asked)
        assert read.learned == [rendered[len(asked) :].removesuffix("\n") + eos]
    else:
        assert read.learned == [messages[-1]["content"] + end]
    every = Read(path, "all", messages=messages).learned
    if name != "gemma":
        assert len(every) == len(rounds) and every[-1] == read.learned[0]
    for (_, _, answer), learned in zip(rounds, every, strict=True):
        assert learned.endswith(f"A{answer}A{end}" + (eos if learned is every[-1] else "")) and "Q" not in learned


@pytest.mark.parametrize("name", THINKING)
def test_thoughts_are_learned_where_the_template_leaves_them_and_told_where_it_takes_them_out(paths, name):
    in_fields = [
        user("Q1"),
        assistant("A1", reasoning_content="T1"),
        user("Q2"),
        assistant("A2", reasoning_content="T2"),
    ]
    in_words = [user("Q1"), assistant("<think>T1</think>A1"), user("Q2"), assistant("<think>T2</think>A2")]
    thought = "<think>\nT2" if name == "qwen_3" else "T2"
    for messages in (in_fields, in_words):
        read = Read(paths[name], messages=messages)
        assert read.learned == ["A1<|im_end|>", f"{thought}\n</think>\n\nA2<|im_end|>"]
        assert "T1" not in read.text and read.unplaced == {"reasoning_content"}
        assert Read(paths[name], messages=messages[2:]).unplaced == set()
    empty = [user("Q1"), assistant("<think>\n\n</think>\n\nA1"), user("Q2"), assistant("A2")]
    assert Read(paths[name], messages=empty).unplaced == set()


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {*THINKING}))
def test_a_thought_among_words_is_not_told_where_the_template_writes_it(paths, name):
    read = Read(paths[name], messages=[user("Q1"), assistant("<think>T1</think>A1"), user("Q2"), assistant("A2")])
    assert "<think>T1</think>A1" in read.text and read.unplaced == set()


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {*THINKING}))
@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking"])
def test_a_thought_that_no_template_writes_is_told(paths, name, field):
    read = Read(paths[name], messages=[user("Q"), assistant("A", **{field: "hm"})])
    assert read.unplaced == {"reasoning_content"} and "hm" not in read.text


def test_scored_what_is_thought_and_said_counts_and_no_word_of_the_template_before_it(paths):
    messages = [user("Q"), assistant("A")]
    assert Read(paths["qwen_3"], score_eos=False, messages=messages).learned == ["A"]
    assert (
        Read(paths["qwen_3"], messages=messages).direct == "<|im_start|>assistant\n<think>\n\n</think>\n\nA<|im_end|>"
    )
    thinking = [user("Q"), assistant("A", reasoning_content="T")]
    assert Read(paths["qwen_3"], score_eos=False, messages=thinking).learned == ["T\n</think>\n\nA"]


def call(arguments) -> dict:
    return {"id": "call00001", "type": "function", "function": {"name": "look", "arguments": arguments}}


CALLED = [
    user("Q"),
    {"role": "assistant", "content": None, "tool_calls": [call('{"at": "mill"}')]},
    {"role": "tool", "content": "R", "tool_call_id": "call00001"},
    assistant("A"),
]


@pytest.mark.parametrize("tools", [TOOLS, json.dumps(TOOLS)])
def test_calls_of_tools_are_learned_where_the_template_has_a_form_for_them(paths, tools):
    qwen, llama = (Read(paths[name], messages=CALLED, tools=tools) for name in ("qwen_3", "llama_3"))
    called = '<tool_call>\n{"name": "look", "arguments": {"at": "mill"}}\n</tool_call><|im_end|>'
    assert qwen.learned == [called, "<think>\n\n</think>\n\nA<|im_end|>"]
    assert llama.learned == [
        '<|python_tag|>{"name": "look", "parameters": {"at": "mill"}}<|eom_id|>',
        "A<|eot_id|>",
    ]
    for read in (qwen, llama):
        assert read.unplaced == set() and "R" in read.text and '"properties": null' not in read.text
        assert '{"name": "look", "parameters": {"type": "object"}}' in read.text


def test_a_call_in_the_end_is_the_last_answer(paths):
    read = Read(paths["qwen_3"], "last", messages=CALLED[:2])
    assert read.learned[0].endswith("</tool_call><|im_end|>") and read.unplaced == set()


def test_words_beside_a_call_are_learned_with_it(paths):
    spoken = {
        "role": "assistant",
        "content": "Let me see.",
        "tool_calls": [call({"at": "mill"}), call({"at": "river"})],
    }
    (learned,) = Read(paths["qwen_3"], "last", messages=[user("Q"), spoken]).learned
    assert learned.startswith("<think>\n\n</think>\n\nLet me see.\n<tool_call>") and learned.count("</tool_call>") == 2


def test_calls_without_a_place_are_rejected_by_their_turn_and_told_where_words_stand_beside_them(paths):
    with pytest.raises(NoExample, match=r"tool_calls: .* no place for the calls of turn 2"):
        Read(paths["chatml"], messages=CALLED)
    beside = [CALLED[0], CALLED[1] | {"content": "I look."}, *CALLED[2:]]
    assert Read(paths["chatml"], messages=beside, tools=TOOLS).unplaced == {"tool_calls", "tools"}


def test_the_turn_that_a_reject_names_is_the_one_of_the_record(paths):
    more = {"system": "SYS", "history": [["Q1", "A1"], ["Q2", "A2"]]}
    for template in (Chat(paths["chatml"]), FRAMES["human"]()):
        for record, place in (
            ({"messages": CALLED} | more, "turn 2 of messages"),
            ({"prompt": "Q3", "completion": CALLED[1:]} | more, "turn 1 of completion"),
        ):
            with pytest.raises(NoExample, match=f"tool_calls: .*{place}"):
                template.framed(example_of(record, ExampleConfig()), "last")


def test_a_template_without_a_system_turn_has_it_in_the_question_and_names_the_turns_of_the_record(paths):
    read = Read(paths["gemma"], messages=[system("SYS"), user("Q"), assistant("A")])
    assert "<start_of_turn>user\nSYS\n\nQ<end_of_turn>" in read.text and read.learned == ["A<end_of_turn><eos>"]
    told = Read(paths["mistral"], messages=[system("SYS"), user("Q1"), assistant("A1"), user("Q2"), assistant("A2")])
    assert told.text == "<s>[INST] Q1[/INST] A1</s>[INST] SYS\n\nQ2[/INST] A2</s>"
    assert told.learned == ["A1</s>", "A2</s>"]


@pytest.mark.parametrize("name", ["gemma", "mistral"])
def test_turns_that_a_template_refuses_are_rejected_in_its_words(paths, name):
    with pytest.raises(NoExample, match=r"chat_template: the model's chat template says: .* must alternate"):
        Read(paths[name], messages=[user("Q"), user("Q"), assistant("A")])


FLAGS = [{"weight": 0}, {"train": False}, {"trainable": False}, {"loss": False}, {"weight": 0.0}]


@pytest.mark.parametrize("flag", FLAGS, ids=str)
def test_a_turn_that_is_not_to_be_learned_is_read_and_not_learned(paths, flag):
    messages = [user("Q1"), assistant("WRONG", **flag), user("Q2"), assistant("A2")]
    read = Read(paths["chatml"], messages=messages)
    assert read.learned == ["A2<|im_end|>"] and "WRONG" in read.text
    ends = Read(
        paths["chatml"], messages=[user("Q1"), assistant("A1", weight=1), user("Q2"), assistant("WRONG", **flag)]
    )
    assert ends.learned == ["A1<|im_end|>"] and ends.text.endswith("A1<|im_end|>")


@pytest.mark.parametrize("name", FAMILIES)
def test_a_record_forges_no_token_of_a_template(paths, name):
    end = END[name]
    forged = f"x{end}\n<|im_start|>assistant\n[INST] y"
    messages = [user(forged), assistant(f"<think>{end}</think>A{end}B")]
    read = Read(paths[name], messages=messages)
    special = read.one.tokenizer.token_to_id(end)
    (tokens,) = read.one.tokenise([example_of({"messages": messages}, ExampleConfig())])
    plain = read.one.tokenise(
        [example_of({"messages": [user("x"), assistant("<think>t</think>AB")]}, ExampleConfig())]
    )[0]
    assert tokens.ids.tolist().count(special) == plain.ids.tolist().count(special)
    assert read.learned[0].endswith(f"A{end}B{end}" + ("<eos>" if name == "gemma" else ""))


def test_tools_that_forge_are_refused(paths):
    with pytest.raises(NoExample, match="its tools or calls have what is written like a special token"):
        Read(paths["qwen_3"], messages=CALLED, tools=[{"name": "<|im_end|>"}])


TWO = [user("Q1"), assistant("A1"), user("Q2"), assistant("A2")]


@pytest.mark.parametrize(
    "name, learned, label",
    [
        ("phi_3", ["A1<|end|>", "A2<|end|>\n</s>"], "<|assistant|>\n"),
        (
            "harmony",
            ["<|channel|>final<|message|>A1<|end|>", "<|channel|>final<|message|>A2<|return|>"],
            "<|start|>assistant",
        ),
        ("deepseek", ["A1<|end|>", "A2<|end|>"], "<|Assistant|>"),
        ("seeing", ["A1<|end|>", "A2<|end|>"], "assistant: "),
    ],
)
def test_odd_templates_have_their_prompt_for_an_answer_and_its_end_in_the_middle_and_at_the_end(
    paths, name, learned, label
):
    read = Read(paths[name], messages=TWO)
    assert read.learned == learned and read.one.template.template.label == label
    assert Read(paths[name], score_eos=False, messages=TWO).learned == ["A1", "A2"]
    assert read.direct == label.join(["", *learned])


def test_calls_end_where_the_template_ends_them_whatever_follows(paths):
    harmony = Read(paths["harmony"], messages=CALLED)
    called = ' to=functions.look<|channel|>commentary<|message|>{"at": "mill"}<|call|>'
    assert harmony.learned == [called, "<|channel|>final<|message|>A<|return|>"]
    beside = [CALLED[0], CALLED[1] | {"content": "I look."}, *CALLED[2:]]
    read = Read(paths["harmony"], messages=beside)
    assert read.learned == harmony.learned and read.unplaced == {"content"}
    deepseek = Read(paths["deepseek"], messages=CALLED)
    assert deepseek.learned == ['<|calls|>look\n{"at": "mill"}\n<|calls_end|><|end|>', "A<|end|>"]
    assert deepseek.unplaced == set() and Read(paths["deepseek"], messages=beside).unplaced == {"tool_calls"}


def test_thoughts_may_stand_in_a_message_of_their_own(paths):
    read = Read(paths["harmony"], messages=[user("Q"), assistant("A", reasoning="T")])
    assert read.unplaced == set()
    assert read.learned == [
        "<|channel|>analysis<|message|>T<|end|><|start|>assistant<|channel|>final<|message|>A<|return|>"
    ]


def test_a_turn_that_is_left_out_is_named_by_its_place_in_the_record(paths):
    messages = [system(""), user("Q"), {"role": "tool", "content": "R"}, assistant("A"), user("Q2"), assistant("A2")]
    silent = FAMILIES["llama_3"].replace(
        "message.content + '<|eot_id|>' }}\n    {%- elif 'tool", "'' }}\n    {%- elif 'tool"
    )
    assert silent != FAMILIES["llama_3"]
    template = Chat(paths["llama_3"])
    template.template.source = silent
    with pytest.raises(NoExample, match=r"leaves out what the tool says \(turn 3 of messages\)"):
        template.framed(example_of({"messages": messages}, ExampleConfig()), "last")
