import pytest

from operators.models.engines.base import Completion, EngineFailure
from operators.models.engines.refusals import FEWEST_LOST, ROUNDS, Refusals

ANSWER = Completion("fine", "stop")
NO_TEXT = Completion(None, error="bad_answer", detail="no text came")
REFUSAL = Completion(None, error="bad_request", detail="unknown field min_p")
TOO_LONG = Completion(None, error="too_long", detail="5000 tokens")


def refusals(seats: int = 4) -> Refusals:
    return Refusals("the endpoint http://h/v1", seats, "Check engine.openai.extra.")


@pytest.mark.parametrize(("seats", "enough"), [(4, FEWEST_LOST), (64, 64 * ROUNDS)])
def test_an_engine_that_refused_all_its_seats_and_answered_nobody_is_to_blame(seats, enough):
    judge = refusals(seats).judge
    assert all(judge(REFUSAL) is REFUSAL for _ in range(enough - 1))
    for _ in range(2):  # and it stays so
        with pytest.raises(EngineFailure, match=r"http://h/v1 refuses every request .*min_p\)\. Check engine\.openai"):
            judge(REFUSAL)


@pytest.mark.parametrize("answer", [ANSWER, NO_TEXT])
def test_one_answer_clears_the_engine_for_good(answer):
    judge = refusals().judge
    for completion in [*[REFUSAL] * (FEWEST_LOST - 1), answer, *[REFUSAL] * 3 * FEWEST_LOST]:
        assert judge(completion) is completion


def test_what_is_too_long_neither_blames_nor_clears_the_engine():
    judge = refusals().judge
    for completion in [*[TOO_LONG] * 3 * FEWEST_LOST, *[REFUSAL, TOO_LONG] * (FEWEST_LOST - 1)]:
        assert judge(completion) is completion
    with pytest.raises(EngineFailure):
        judge(REFUSAL)
