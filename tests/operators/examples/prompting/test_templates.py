import pytest

from operators.examples.base import Example, ExampleConfig, Turn, example_of
from operators.examples.prompting.templates import FRAMES, Segment

CHAT = Example((Turn("user", "Why?"), Turn("assistant", "So."), Turn("user", "How?"), Turn("assistant", "Thus.")))
TOLD = Example((Turn("system", "Be short."), Turn("user", "Why?"), Turn("assistant", "So.")))
ALPACA = "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. Write a response "
    "that appropriately completes the request.\n\n"
)


def text(framed: list[Segment]) -> str:
    return "".join(segment.text for segment in framed)


def answers(framed: list[Segment]) -> list[str]:
    return [segment.text for segment in framed if segment.answer]


EXPECTED = {
    "alpaca": (
        f"{ALPACA}### Instruction:\nWhy?\n\n### Response:So.\n\n### Instruction:\nHow?\n\n### Response:Thus.",
        "### Response:So.\n\n### Response:Thus.",
    ),
    "human": ("Human: Why?\nAssistant: So.\nHuman: How?\nAssistant:Thus.", "Assistant: So.Assistant: Thus."),
    "plain": ("Why?\n\nSo.\n\nHow?\n\nThus.", "So.\n\nThus."),
    "tulu": (
        "<|user|>\nWhy?\n<|assistant|>\nSo.\n<|user|>\nHow?\n<|assistant|>\nThus.",
        "<|assistant|>\nSo.\n<|assistant|>\nThus.",
    ),
}


@pytest.mark.parametrize("name", FRAMES)
def test_the_frames_are_the_known_ones(name):
    template, (whole, direct) = FRAMES[name](), EXPECTED[name]
    assert text(template.framed(CHAT, "last")) == whole
    assert text(template.direct(CHAT, "all")) == direct
    assert text(template.direct(CHAT, "last")) == direct[direct.rindex(template.before["assistant"] + "Thus.") :]


@pytest.mark.parametrize("name", FRAMES)
def test_answers_are_the_last_turn_or_all(name):
    template = FRAMES[name]()
    assert answers(template.framed(CHAT, "last")) == answers(template.direct(CHAT, "last")) == ["Thus."]
    assert answers(template.framed(CHAT, "all")) == answers(template.direct(CHAT, "all")) == ["So.", "Thus."]


@pytest.mark.parametrize("name", FRAMES)
def test_what_follows_the_last_answer_that_is_learned_changes_nothing_before_it(name):
    turns = (Turn("user", "Why?"), Turn("assistant", "So.", learned=True))
    more = (*turns, Turn("user", "How?"), Turn("assistant", "WRONG", learned=False))
    alone, before = (text(FRAMES[name]().framed(Example(some), "last")) for some in (turns, more))
    assert before == alone


def test_where_all_that_is_learned_has_no_text_nothing_is_framed():
    turns = (Turn("user", "Why?"), Turn("assistant", "", learned=True), Turn("assistant", "So.", learned=False))
    assert all(make().framed(Example(turns), "last") == [] for make in FRAMES.values())


def test_alpaca_has_a_form_for_rows_with_an_input_and_one_for_those_without():
    rows = [{"instruction": "Add.", "input": given, "output": "3"} for given in ("1 2", "", None)]
    whole = [text(FRAMES["alpaca"]().framed(example_of(row, ExampleConfig()), "last")) for row in rows]
    assert whole[0] == f"{WITH_INPUT}### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:3"
    assert whole[1] == whole[2] == f"{ALPACA}### Instruction:\nAdd.\n\n### Response:3"


def test_a_question_in_parts_whose_answer_is_not_learned_is_left_out_whole():
    turns = (*CHAT.turns[:1], Turn("assistant", "So.", learned=True), Turn("user", "Add.\n\n1 2"))
    example = Example((*turns, Turn("assistant", "3", learned=False)), parts=("Add.", "1 2"))
    assert text(FRAMES["alpaca"]().framed(example, "last")) == f"{ALPACA}### Instruction:\nWhy?\n\n### Response:So."


def test_a_system_turn_stands_where_each_template_has_it():
    whole = {name: text(make().framed(TOLD, "last")) for name, make in FRAMES.items()}
    assert whole["alpaca"] == "Be short.\n\n### Instruction:\nWhy?\n\n### Response:So."
    assert whole["human"] == "Be short.\nHuman: Why?\nAssistant:So."
    assert whole["tulu"] == "<|system|>\nBe short.\n<|user|>\nWhy?\n<|assistant|>\nSo."
    assert whole["plain"] == "Be short.\n\nWhy?\n\nSo."
