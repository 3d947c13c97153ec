"""Reasoning inside an answer, in every form that models are known to write, and texts that only look like it."""

import time

import pytest

from operators.errors import BadRequest
from operators.rewrite.clean import Clean, CleanConfig
from operators.rewrite.prompts import load_prompt
from tests.rows import completed

SOURCE = (
    "The port of Halden was built in 1190 by monks who needed a place to land salt and wool. Within forty years it "
    "had grown into the largest market on the northern coast, with 38 warehouses and a tax on every ship that came in."
)
REST = (
    "Founded in 1190 by monks in search of a landing place for salt and wool, the port of Halden became the leading "
    "market of the northern coast in just four decades; it counted 38 warehouses and taxed each arriving vessel."
)
HM = "Okay, the user wants a paraphrase of a passage about Halden.\nI keep 1190, and 38 warehouses."
CHANNEL = "<|channel|>{}<|message|>{}"


def clean(text: str, source: str = SOURCE, **settings) -> dict:
    tokens = {"source_tokens": len(source) // 4, "completion_tokens": len(text) // 4}
    row = {"id": "r", "style": "medium", "text": text, "source_text": source, "finish_reason": "stop", **tokens}
    return Clean(CleanConfig(**settings), {"medium": load_prompt("medium")})(completed(row)).to_pylist()[0]


@pytest.mark.parametrize(
    "text",
    [
        f"<think>\n{HM}\n</think>\n\n{REST}",
        f"<think>{HM}</think>{REST}",
        f"<think\n>{HM}</think\n>{REST}",
        f"< think >{HM}</ think >{REST}",
        f"<think\n  budget='9'>{HM}</think>{REST}",
        f"<think/>\n{REST}",
        f"<think />{REST}",
        f"&lt;think&gt;{HM}&lt;/think&gt;{REST}",
        f"\uff1cthink\uff1e{HM}\uff1c/think\uff1e{REST}",
        f"```\n<think>\n{HM}\n</think>\n```\n{REST}",
        f"```text\n<think>{HM}</think>\n```\n\n{REST}",
        f"<think></think>\n\n{REST}",
        f"{HM}\n</think>\n\n{REST}",
        f"{HM}</think>{REST}",
        f"<Thinking>{HM}</Thinking>\n{REST}",
        f"<thinking>{HM}</thinking><output>{REST}</output>",
        f"<think>{HM}</think>\n<answer>\n{REST}\n</answer>",
        f"<think>{HM}</think><response>{REST}",
        f"<think>{HM}</think>\n<think>And again.</think>\n{REST}",
        f"<think>I open with <think> myself. {HM}</think>{REST}",
        f"<think>I must not write `</think>` too early.</think>{REST}",
        f"[THINK]{HM}[/THINK]{REST}",
        f"{HM}[/THINK]{REST}",
        f"<seed:think>{HM}<seed:cot_budget_reflect>I have used 40 tokens.</seed:cot_budget_reflect></seed:think>{REST}",
        f"<mm:think>{HM}</mm:think>{REST}",
        f"<think:opensource>{HM}</think:opensource>{REST}",
        f"<ifm|think_fast>{HM}</ifm|think_fast>{REST}",
        f"<longcat_think>{HM}</longcat_think>\n{REST}",
        f"<thought>{HM}</thought>\n{REST}",
        f"<reasoning>\n{HM}\n</reasoning>\n{REST}",
        f"<reflection>{HM}</reflection>{REST}",
        f"<scratchpad>{HM}</scratchpad>{REST}",
        f"<scratch_pad>{HM}</scratch_pad>{REST}",
        f"<chain-of-thought>{HM}</chain-of-thought>{REST}",
        f"<analysis>{HM}</analysis>{REST}",
        f'<think type="deep">{HM}</think>{REST}',
        f'<details type="reasoning" done="true">\n<summary>Thought for 3 seconds</summary>\n{HM}\n</details>\n{REST}',
        f"◁think▷{HM}◁/think▷{REST}",
        f"<|begin_of_thought|>{HM}<|end_of_thought|>\n<|begin_of_solution|>{REST}<|end_of_solution|>",
        f"<|START_THINKING|>{HM}<|END_THINKING|><|START_RESPONSE|>{REST}<|END_RESPONSE|>",
        f"<|plamo:begin_think:plamo|>{HM}<|plamo:end_think:plamo|>{REST}",
        f"<|think|>{HM}<|end|><|begin|>assistant<|content|>{REST}",
        f"<|message_model|><|content_thinking|>{HM}<|end_message|><|message_model|><|content_text|>{REST}<|end_message|>",
        f"<|open|>think<|sep|>{HM}<|close|>think<|sep|><|open|>response<|sep|>{REST}<|close|>response<|sep|><|close|>message<|sep|>",
        f"<|channel>thought\n{HM}<channel|>{REST}<turn|>",
        f"<|channel>thought\n<channel|>{REST}",
        f"thought\n{REST}",
        f"<unused94>thought\n{HM}<unused95>{REST}",
        f"<|im_start|>think\n{HM}<|im_start|>answer\n{REST}<|im_end|>",
        f"Here is my thought process:\n{HM}\nHere is my response:\n{REST}",
        f"Here are my reasoning steps:\n{HM}\n[BEGIN FINAL RESPONSE]\n{REST}\n[END FINAL RESPONSE]",
        f"Thinking...\n{HM}\n...done thinking.\n\n{REST}",
        f"{CHANNEL.format('analysis', HM)}<|end|><|start|>assistant{CHANNEL.format('final', REST)}",
        f"{CHANNEL.format('analysis', HM)}<|end|><|start|>assistant{CHANNEL.format('final', REST)}<|return|>",
        f"{HM}<|end|><|start|>assistant{CHANNEL.format('final', REST)}",
        f"{CHANNEL.format('analysis', HM)}{CHANNEL.format('final', REST)}<|end|>",
        f"{CHANNEL.format('analysis', HM)}<|end|><|start|>assistant{CHANNEL.format('commentary', 'Hm.')}<|end|>"
        f"<|start|>assistant{CHANNEL.format('final <|constrain|>text', REST)}",
        CHANNEL.format("final", REST),
        f"to=self<|message|>{HM}<|eom|>to=user<|message|>{REST}<|eot|>",
        f"analysis{HM}assistantfinal{REST}",
        f"analysisWe need to paraphrase. Analysis is short.assistantcommentaryLet me see.assistantfinal{REST}",
        f"analysis\n{HM}\nassistantfinal\n{REST}",
        f"analysis {HM} assistant final {REST}",
        f"analysiswe need to paraphrase. assistant final {REST}",
        f"assistant\nanalysis\nWe need to paraphrase.\nassistant\nfinal\n{REST}",
        f"{HM}assistantfinal{REST}",
        f"final{REST}",
    ],
)
def test_reasoning_is_cut_in_every_form_that_models_write(text):
    cleaned = clean(text)
    assert (cleaned["text"].strip(), cleaned["repaired"], cleaned["reason"]) == (REST, "thinking_cut", None)


@pytest.mark.parametrize(
    "text",
    [
        f"<think>{HM}",
        f"<think>\n{HM}\n</think>\n",
        f"[THINK]{HM}",
        f"◁think▷{HM}",
        f"<|channel>thought\n{HM}",
        f"thought\n{HM}",
        f"<unused94>thought\n{HM}",
        f"<seed:think>{HM}",
        f"<|START_THINKING|>{HM}",
        f"Here is my thought process:\n{HM}",
        CHANNEL.format("analysis", HM),
        f"{CHANNEL.format('analysis', HM)}<|end|><|start|>assistant{CHANNEL.format('commentary', 'Hm.')}<|end|>",
        f"analysis{HM}",
        f"analysisWe need to think of {REST}",
        f"analysis\n{HM}",
        f"analysis {HM}",
        f"analysis We need to think of {REST}",
        f"analysis we need to think of {REST}",
        f"analysisthe user wants a rewrite of {REST}",
        f"commentaryWe need to think of {REST}",
        f"assistant analysis The passage is about {REST}",
        f"{REST[:90]}<think>{HM}",
        f"{REST[:90]}[THINK]{HM}",
        f"{REST[:90]} <|channel>thought\n{HM}",
        f"{REST[:90]} &lt;think&gt;{HM}",
        f"<think>{HM}</think>{REST[:90]}<think>{HM}",
        f"analysis{HM}assistantfinal{REST[:90]}assistantanalysis{HM}",
        f"{CHANNEL.format('analysis', HM)}<|end|><|start|>assistant{CHANNEL.format('final', REST[:90])}"
        f"{CHANNEL.format('analysis', HM)}",
        f"```text\n<think>{HM}\n```\n{REST}",
        f"```\n<think>\n{HM}",
        f"`<think>` {HM} `</think>` {REST}",
    ],
)
def test_a_thought_that_never_ends_is_rejected_by_name(text):
    cleaned = clean(text)
    assert cleaned["reason"] == "only_reasoning" and "raise max_tokens" in cleaned["detail"]


TAGGED = (
    f"{SOURCE} Some models write <think> before and </think> after their thoughts, others [THINK] and [/THINK]. gpt-oss writes "
    "<|channel|>analysis<|message|> or, where its tokens are left out, analysis...assistantfinal."
)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (f"{REST} An analysis of the books shows it. In the final analysis, thinking helped.", SOURCE),
        (f"analysis of the books shows this: {REST}", SOURCE),
        (f"Analysis\n\n{REST}", SOURCE),
        (f"Final words: {REST}", SOURCE),
        (f"finally, {REST}", SOURCE),
        (f"{REST} A teaching assistant final exam followed.", SOURCE),
        (f"Here is my response to that: {REST}", SOURCE),
        (f"{REST} See [thinking](https://a.test) and <thinker>.", SOURCE),
        (f"{REST} The tag `<think>` opens a thought, and `</think>` ends it.", SOURCE),
        (f"{REST}\n\n```xml\n<think>\nSo.\n</think>\n```\n", SOURCE),
        (f"```xml\n<think>\nSo.\n</think>\n```\n{REST}", f"```xml\n<think>\nSo.\n</think>\n```\n{SOURCE}"),
        (f"`a` and `<think>` are tags. {REST}", SOURCE),
        (f"`<think>` opens a thought. {REST}", TAGGED),
        (f"{REST} Models may put their thoughts between <think> and </think>.", TAGGED),
        (f"{REST} Thoughts end with </think>, and Mistral's begin with [THINK].", TAGGED),
        (f"{REST}\n<think>\nSo.\n</think>\nis how they write.", TAGGED),
        (f"{REST} gpt-oss has <|channel|>analysis<|message|>, else assistantfinal stands between.", TAGGED),
        (f"<think> {REST}", f"<think> {SOURCE}"),
        (f"thought\n{REST}", f"thought\n{SOURCE}"),
    ],
)
def test_a_text_that_speaks_of_reasoning_or_shows_its_marks_stays(text, source):
    cleaned = clean(text, source, preset=None, thinking_cut=True)
    assert (cleaned["text"].strip(), cleaned["repaired"]) == (text.strip(), None)
    assert clean(text, source, preset=None, template_markers=True)["reason"] is None


@pytest.mark.parametrize(
    "text",
    [
        f"<think>\n{HM}\n</think>\n\n{REST} They write <think> before.",
        f"{HM}\n</think>\n{REST} They write <think> before.",
        f"[THINK]{HM}[/THINK]{REST} They write <think> before.",
    ],
)
def test_an_answer_about_such_marks_that_begins_with_a_thought_loses_that_alone(text):
    assert clean(text, TAGGED, preset=None, thinking_cut=True)["text"] == f"{REST} They write <think> before."


@pytest.mark.parametrize(
    "text", [f"{REST} <think>", f"{REST} [THINK]", f"{REST} <|channel>thought", f"{REST} ◁/think▷ so"]
)
def test_no_mark_of_reasoning_is_left_in_what_is_kept(text):
    cleaned = clean(text, preset="strict", thinking_cut=False)
    assert cleaned["reason"] == "template_markers"


@pytest.mark.parametrize(
    ("marks", "text"),
    [
        (["plan"], f"<plan>{HM}</plan>{REST}"),
        (["plan"], f"[PLAN]{HM}[/PLAN]{REST}"),
        (["plan"], f"{HM}</plan>{REST}"),
        (["plan", "<<<...>>>"], f"<<<{HM}>>>{REST}"),
        (["### Notes...### Text"], f"### Notes\n{HM}\n### Text\n{REST}"),
    ],
)
def test_marks_of_ones_own_can_be_named(marks, text):
    assert clean(text, thoughts=marks)["text"] == REST
    assert clean(text, preset=None, thinking_cut=True)["text"] == text


@pytest.mark.parametrize("mark", ["", "a b", "...", "<plan>...", "...</plan>"])
def test_a_mark_that_is_neither_a_name_nor_a_pair_is_refused(mark):
    with pytest.raises(BadRequest, match=r"clean\.thoughts names .*three dots"):
        CleanConfig(thoughts=[mark])


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<think>",
        "</think>",
        "`<think>` ",
        "```\n<think>\n",
        "<|channel|>",
        "<|message|>",
        "[",
        "think:",
        "assistant ",
        "&lt;think ",
        "< think\n",
    ],
)
def test_no_answer_takes_a_time_that_grows_with_its_square(piece):
    began = time.process_time()
    for beginning in ("", "<think>", "<answer>"):
        clean(beginning + piece * (200_000 // len(piece)), preset=None, thinking_cut=True)
    assert time.process_time() - began < 3.0
