import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.errors import BadRequest
from operators.rewrite.prompts import ORDERS, load_prompt, prompt_names

OF_THE_METHODS = [
    *("distill", "diverse_qa", "easy", "extract_knowledge", "faq", "guided_rewrite", "hard", "knowledge_list"),
    *("math", "medium", "qa", "table", "tutorial", "wikipedia"),
]
FOR_SMALL_MODELS = ["brief"]
STYLES = [name for name in prompt_names() if name not in FOR_SMALL_MODELS]
MINIMAL = "Say it as a poem.\n\n{text}\n"


def write(folder, content: str, name: str = "poem.md") -> str:
    (folder / name).write_text(content, encoding="utf-8")
    return str(folder / name)


def user(prompt, text, **more) -> str:
    return prompt.messages(text, **{"system": "", **more})[-1]["content"]


def test_all_styles_of_the_methods_are_there():
    assert set(OF_THE_METHODS) <= set(prompt_names()) and prompt_names() == sorted(prompt_names())


@pytest.mark.parametrize("style", STYLES)
def test_every_prompt_says_what_it_is_and_bounds_its_completion(style):
    prompt = load_prompt(style)
    assert prompt.name == style
    assert prompt.summary
    assert 1 <= prompt.max_tokens <= 2048
    assert "the language of the passage" in prompt.body.replace("\n", " ") or "same language" in prompt.body
    assert len(prompt.identity) == 16


def test_prompts_have_different_identities_and_a_changed_word_changes_the_identity(tmp_path):
    assert len({load_prompt(style).identity for style in STYLES}) == len(STYLES)
    first = load_prompt(write(tmp_path, MINIMAL)).identity
    assert load_prompt(write(tmp_path, MINIMAL.replace("poem", "song"))).identity != first


def test_with_text_first_all_styles_share_their_beginning_up_to_the_instruction():
    rendered = [user(load_prompt(style), "The port.", order="text_first") for style in STYLES]
    assert {text[: text.index("</passage>\n\n")] for text in rendered} == {"<passage>\nThe port.\n"}


@pytest.mark.parametrize("order", ORDERS)
@given(text=st.text(), context=st.none() | st.text())
def test_text_and_context_go_in_as_they_are(order, text, context):
    content = user(load_prompt("qa"), text, order=order, context=context)
    assert f"<passage>\n{text}\n</passage>" in content
    if context:
        assert f"<previous>\n{context}\n</previous>" in content


def test_a_document_full_of_template_syntax_is_not_touched():
    text = "{text} {{ x }} {% if %} {0} \\1 %s $y"
    assert f"\n{text}\n" in user(load_prompt("easy"), text)


def test_the_context_follows_the_passage_so_that_the_prefix_stays_shared():
    content = user(load_prompt("easy"), "Now.", order="text_first", context="Before.")
    assert content.startswith("<passage>\nNow.\n</passage>\n\n")
    assert content.index("Now.") < content.index("Before.") < content.index("Retell")
    assert "<previous>" not in user(load_prompt("easy"), "Now.", context="")


def test_the_system_line_is_left_out_where_it_is_empty():
    prompt = load_prompt("easy")
    assert [m["role"] for m in prompt.messages("x", system="Be kind.")] == ["system", "user"]
    assert [m["role"] for m in prompt.messages("x", system="")] == ["user"]


def test_a_prompt_may_have_a_system_line_of_its_own_which_the_run_may_replace(tmp_path):
    prompt = load_prompt(write(tmp_path, f"---\nsystem: You are a poet.\n---\n{MINIMAL}"))
    assert prompt.messages("x")[0] == {"role": "system", "content": "You are a poet."}
    assert prompt.messages("x", system="Be kind.")[0]["content"] == "Be kind."
    assert [m["role"] for m in prompt.messages("x", system="")] == ["user"]
    assert prompt.instructions == "You are a poet.\n\nSay it as a poem."
    assert load_prompt("easy").messages("x")[0]["content"].startswith("You are a careful assistant.")


@pytest.mark.parametrize("style", FOR_SMALL_MODELS)
def test_a_small_model_is_told_what_to_do_in_the_system_line_and_given_the_bare_text(style):
    prompt = load_prompt(style)
    told, asked = prompt.messages("The port.")
    assert told["role"] == "system" and "language" in told["content"] and len(told["content"].split()) < 40
    assert asked == {"role": "user", "content": "The port."}
    assert prompt.summary and 1 <= prompt.max_tokens <= 2048


def test_an_unknown_order_names_the_orders():
    with pytest.raises(BadRequest, match="instruction_first, text_first"):
        load_prompt("easy").messages("x", system="", order="last")


def test_an_unknown_style_is_answered_with_those_there_are():
    with pytest.raises(BadRequest, match=r"no prompt named 'poem'. There are: brief, .*give its path"):
        load_prompt("poem")
    with pytest.raises(BadRequest, match="Did you mean 'medium'"):
        load_prompt("meduim")


def test_a_users_file_is_loaded_by_its_path(tmp_path):
    prompt = load_prompt(write(tmp_path, "---\nmax_tokens: 99\nstop: [END]\ntemperature: 1\n---\n" + MINIMAL))
    assert (prompt.name, prompt.max_tokens, prompt.stop, prompt.temperature) == ("poem", 99, ("END",), 1)
    assert user(prompt, "x") == "Say it as a poem.\n\nx"
    assert user(prompt, "x", order="text_first") == "x\n\nSay it as a poem."


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("Say it as a poem.", "has 0 {text} slots"),
        ("{text} and {text}", "has 2 {text} slots"),
        ("---\nmax_token: 3\n---\n{text}", "has no setting 'max_token'. Did you mean 'max_tokens'?"),
        ("---\nzzz: 3\n---\n{text}", "has no setting 'zzz'. There are: summary"),
        ("---\nmax_tokens: [\n---\n{text}", "are not valid YAML"),
        ("---\n- a\n---\n{text}", "are not `key: value` lines"),
        ("---\nmax_tokens: 3\n{text}", "have no end"),
        ("---\nmax_tokens: many\n---\n{text}", "sets max_tokens to 'many'. It must be a whole number"),
        ("---\nmax_tokens: true\n---\n{text}", "sets max_tokens to True"),
        ("---\ntop_p: 1.5\n---\n{text}", "up to 1"),
        ("---\nstop: END\n---\n{text}", "a list of texts"),
        ("---\nparser: poem\n---\n{text}", "one of plain, prose, pairs"),
    ],
)
def test_a_broken_prompt_file_is_explained(tmp_path, content, complaint):
    with pytest.raises(BadRequest) as caught:
        load_prompt(write(tmp_path, content))
    assert complaint in str(caught.value)
    assert "poem.md" in str(caught.value)


def test_a_prompt_that_is_not_a_text_file_is_explained(tmp_path):
    (tmp_path / "poem.md").write_bytes(b"\xff\xfe{text}")
    with pytest.raises(BadRequest, match="not UTF-8"):
        load_prompt(str(tmp_path / "poem.md"))
    for missing in (str(tmp_path / "none.md"), str(tmp_path), "none.md"):
        with pytest.raises(BadRequest, match="no prompt file"):
            load_prompt(missing)


def test_a_prompt_cannot_take_the_name_of_real_text(tmp_path):
    with pytest.raises(BadRequest, match="Rename the file"):
        load_prompt(write(tmp_path, MINIMAL, "original.md"))


def parse(style, answer, source="S", source_tokens=300, key="k"):
    return load_prompt(style).parse(answer, source, source_tokens, key)


@pytest.mark.parametrize(
    "opening",
    [
        "Rewritten passage:\n",
        "**Rewritten passage:**\n\n",
        "rewritten  Passage: ",
        "Sure! Rewritten passage:\n",
        "Rewritten passage\n",
    ],
)
def test_the_fixed_opening_line_is_found_and_cut(opening):
    assert parse("wikipedia", f"{opening}The port is old.").text == "The port is old."


@pytest.mark.parametrize("answer", ["The port is old.", "The port.\nRewritten passage: it is old.", ""])
def test_a_missing_opening_line_is_told(answer):
    parsed = parse("wikipedia", answer)
    assert (parsed.reason, parsed.text) == ("prefix_missing", answer)


PAIR = "Question: Is it old?\nAnswer: Yes."


@pytest.mark.parametrize(
    "answer",
    [
        PAIR,
        f"Some words before.\n\n{PAIR}\n\nQuestion: What is",
        "**Question:** Is it old?\n**Answer:** Yes.",
        "Q: Is it old?\nA: Yes.",
        "1. Question: Is it old?\n   Answer: Yes.",
        "### Question 1: Is it old?\nAnswer 1: Yes.",
        "Question: Is it old? Answer: Yes.",
        "질문: Is it old?\n답변: Yes.",
        "问题：Is it old?\n答案：Yes.",
        "Frage: Is it old?\nAntwort: Yes.",
        f"Question: Nobody knows?\n{PAIR}",
    ],
)
def test_complete_pairs_are_kept_in_one_form_and_a_broken_tail_is_dropped(answer):
    assert parse("qa", answer).text == PAIR


@pytest.mark.parametrize("answer", ["The port is old.", "Question: Is it old?", "Answer: Yes.", "Plan A is old: yes."])
def test_an_answer_without_a_pair_is_unparsable_and_stays_as_it_was(answer):
    parsed = parse("qa", answer)
    assert (parsed.reason, parsed.text) == ("unparsable", answer)


def test_an_answer_may_run_over_several_lines():
    assert parse("faq", "Question: Why?\nAnswer: First,\n\n- this.\n\nQuestion: How?\nAnswer: So.").text == (
        "Question: Why?\nAnswer: First,\n\n- this.\n\nQuestion: How?\nAnswer: So."
    )


def test_diverse_qa_appends_a_draw_of_the_pairs_that_hangs_on_the_key_alone():
    answer = "Questions and answers:\n" + "\n".join(f"Question: q{i}?\nAnswer: a{i}." for i in range(8))
    texts = {key: parse("diverse_qa", answer, "The source. ", 60, key).text for key in map(str, range(40))}
    assert texts == {key: parse("diverse_qa", answer, "The source. ", 60, key).text for key in texts}
    assert all(text.startswith("The source.\n\nQuestion: q") for text in texts.values())
    assert {text.count("Question:") for text in texts.values()} == {1, 2, 3, 4}  # 1..max(1, 10 * 60 / 150)
    assert len(set(texts.values())) > 20
    assert parse("diverse_qa", answer, "S", 3).text.count("Question:") == 1


def test_prose_loses_its_markdown_and_keeps_its_stars():
    answer = "Condensed text:\n## The port\nPassage 1:\nIt is **old**, 2**3 and __init__ and *args."
    assert parse("distill", answer).text == "The port\nIt is old, 2**3 and __init__ and *args."


def test_list_items_begin_alike_whatever_sign_the_model_chose():
    answer = "# Facts\n* one\n  • two\n3. three\n4) four\n– five\nno item\n2.5 metres"
    assert parse("knowledge_list", answer).text == "Facts\n- one\n  - two\n- three\n- four\n- five\nno item\n2.5 metres"
    assert parse("knowledge_list", "No list.").reason == "unparsable"


def test_a_table_must_have_its_rule_a_row_and_a_question_after_it():
    table = "| Thing | Year |\n|---|:--:|\n| port | 1190 |\n"
    assert parse("table", f"{table}\n{PAIR}").text == f"{table}\n{PAIR}"
    assert parse("table", table).reason == "unparsable"
    assert parse("table", f"{PAIR}\n{table}").reason == "unparsable"
    assert parse("table", f"| Thing | Year |\n| port | 1190 |\n{PAIR}").reason == "unparsable"


def test_a_word_problem_needs_its_solution():
    assert parse("math", "Here:\n**Problem:** 2 + 2?\n\n**Solution:** 4.").text == "Problem: 2 + 2?\n\nSolution: 4."
    assert parse("math", "Problem: 2 + 2?").reason == "unparsable"


def test_a_guided_rewrite_is_what_stands_between_its_markers():
    answer = "=== THOUGHTS ===\nIt is vague.\n\n=== REWRITE ===\nThe port\n\nis old.\n=== END ===\nBye."
    assert parse("guided_rewrite", answer).text == "The port\n\nis old."
    assert parse("guided_rewrite", answer.split("=== END")[0]).text == "The port\n\nis old."
    assert parse("guided_rewrite", "The port is old.").reason == "prefix_missing"


@pytest.mark.parametrize("style", STYLES)
@given(answer=st.text(alphabet=st.sampled_from("Question:Answer|-=*#> \n1.é한") | st.characters(), max_size=200))
def test_no_answer_breaks_a_parser(style, answer):
    assert isinstance(parse(style, answer).text, str)
