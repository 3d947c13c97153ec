"""The faults of the comparison paper's code, one small case each, against that code's arithmetic written naively."""

import numpy as np
import pytest

from operators.examples.base import ExampleConfig
from operators.examples.prompting import PromptingConfig
from operators.select.measure.base import ModelConfig
from operators.select.measure.likelihood import Likelihood, LikelihoodConfig
from tests.operators.select.measure.scorers import Plain, asked, make_scorer, pool

QUESTION, ANSWER = "What does a mill do?", "It grinds grain between two heavy stones."


@pytest.fixture(scope="module", params=[False, True], ids=["no_bos", "bos"])
def scorer(request, tmp_path_factory) -> tuple[Likelihood, Plain]:
    model = make_scorer(tmp_path_factory.mktemp("scorer"), bos=request.param)
    measure = Likelihood(
        LikelihoodConfig(released=True),
        ModelConfig(path=model, device="cpu"),
        PromptingConfig(template="human", max_tokens=150),
        ExampleConfig(),
    )
    return measure, Plain(model, request.param)


def measured(scorer, *records) -> list[dict]:
    return scorer[0](pool(*records)).to_pylist()


def released_prompt(*turns: tuple[str, str]) -> str:
    said = [f"\nHuman: {text}\nAssistant: " if role == "user" else text for role, text in turns]
    return "".join(said).strip()


def encoded(plain: Plain, text: str) -> list[int]:
    return [*plain.first, *plain.encode(text)]


def released_cross_entropy(plain: Plain, prompt: str, answer: str, limit: int = 150) -> float:
    """Logits at t against token t, from the first place that the prompt's ids other than 0 leave."""
    head = encoded(plain, prompt)[:limit]
    index = sum(token != 0 for token in head)
    ids = [*head, *encoded(plain, answer)[: limit - index]]
    log_probs = plain.log_probs(ids)
    return float(np.mean([-log_probs[place, ids[place]].item() for place in range(index, len(ids))]))


def released_span(plain: Plain, before: str, answer: str) -> tuple[list[int], int]:
    text = before + answer
    return encoded(plain, text), len(encoded(plain, text[: text.rfind(answer)]))


def released_part_loss(plain: Plain, before: str, answer: str) -> float:
    ids, start = released_span(plain, before, answer)
    return float(np.mean(plain.token_losses(ids)[max(start, 1) :]))


def assert_released(scorer, row: dict, prompt: str, answer: str) -> None:
    plain = scorer[1]
    assert row["released_cross_entropy"] == pytest.approx(released_cross_entropy(plain, prompt, answer), abs=2e-5)
    assert row["released_answer_loss"] == pytest.approx(released_part_loss(plain, prompt, answer), abs=2e-5)
    assert row["released_direct_loss"] == pytest.approx(released_part_loss(plain, "Assistant: ", answer), abs=2e-5)


def test_logits_are_compared_with_their_own_token(scorer):
    [row] = measured(scorer, asked(QUESTION, ANSWER))
    assert_released(scorer, row, released_prompt(("user", QUESTION)), ANSWER)
    assert abs(row["released_cross_entropy"] - row["answer_loss"]) > 1e-3


def test_a_second_bos_is_a_target(scorer):
    _, plain = scorer
    [row] = measured(scorer, asked(QUESTION, ANSWER))
    prompt = encoded(plain, released_prompt(("user", QUESTION)))
    ids = [*prompt, *plain.encode(ANSWER)]  # without the second one
    log_probs = plain.log_probs(ids)
    alone = np.mean([-log_probs[place, ids[place]].item() for place in range(len(prompt), len(ids))])
    assert (abs(row["released_cross_entropy"] - alone) > 1e-3) == bool(plain.first)


def test_tokens_of_id_0_move_the_mask_into_the_prompt(scorer):
    _, plain = scorer
    question = "Stop!!! Now! Say: what does a mill do!"
    [row] = measured(scorer, asked(question, ANSWER))
    prompt = released_prompt(("user", question))
    assert encoded(plain, prompt).count(0) >= 3
    assert_released(scorer, row, prompt, ANSWER)
    ids = [*encoded(plain, prompt), *encoded(plain, ANSWER)]
    log_probs, begin = plain.log_probs(ids), len(encoded(plain, prompt))
    unmoved = np.mean([-log_probs[place, ids[place]].item() for place in range(begin, len(ids))])
    assert abs(row["released_cross_entropy"] - unmoved) > 1e-3


def test_the_direct_span_loses_the_first_token_where_it_merges_with_the_label(scorer):
    _, plain = scorer
    answer = "The river"  # " The" is a token, so that "Assistant: " ends with one that the whole text does not have
    ids, start = released_span(plain, "Assistant: ", answer)
    conditioned, begin = released_span(plain, released_prompt(("user", QUESTION)), answer)
    assert len(ids) - start < len(conditioned) - begin
    [row] = measured(scorer, asked(QUESTION, answer))
    assert_released(scorer, row, released_prompt(("user", QUESTION)), answer)
    assert row["released_direct_loss"] != pytest.approx(row["direct_loss"], abs=1e-3)


def test_the_span_begins_at_the_last_occurrence_of_the_answer(scorer):
    for question, answer in [("bread", "bread"), ("Say bread bread", "bread bread")]:
        [row] = measured(scorer, asked(question, answer))
        assert_released(scorer, row, released_prompt(("user", question)), answer)


def test_earlier_answers_and_system_turns_stand_in_the_prompt_as_they_are(scorer):
    turns = [("system", "You are a mill."), ("user", "One?"), ("assistant", "Two."), ("user", "Three?")]
    chat = [{"role": role, "content": text} for role, text in [*turns, ("assistant", ANSWER)]]
    [row] = measured(scorer, {"messages": chat})
    assert_released(scorer, row, released_prompt(*turns), ANSWER)


def test_rows_without_a_question_and_rows_over_the_limit_are_null(scorer):
    columns = ("released_cross_entropy", "released_answer_loss", "released_direct_loss")
    text, long = measured(scorer, "The mill stands by the river.", asked("x" * 200, "no"))
    assert [text[name] for name in columns] == [None] * 3 == [long[name] for name in columns]
    assert (text["reason"], long["reason"]) == ("no_prompt", "too_long")
    assert text["answer_loss"] is not None


def test_an_answer_over_the_limit_is_cut_for_the_cross_entropy_alone(scorer):
    long = "The mill stands by the river. " * 30
    [row] = measured(scorer, asked(QUESTION, long))
    expected = released_cross_entropy(scorer[1], released_prompt(("user", QUESTION)), long)
    assert row["released_cross_entropy"] == pytest.approx(expected, abs=2e-5)
    assert row["released_answer_loss"] is row["answer_loss"] is None and row["reason"] == "too_long"


def test_an_answer_that_vanishes_in_the_label_has_no_direct_span(scorer):
    """It is one token, and merges with the label's last one."""
    _, plain = scorer
    ids, start = released_span(plain, "Assistant: ", "The")
    assert start == len(ids)
    [row] = measured(scorer, asked(QUESTION, "The"))
    assert row["released_direct_loss"] is None and row["reason"] == "no_target"
    assert row["answer_loss"] is not None and row["released_cross_entropy"] is not None
