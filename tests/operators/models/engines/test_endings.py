import pytest

from operators.models.engines.endings import ending


@pytest.mark.parametrize("said", ["stop", "eos", "eos_token", "end_turn", "stop_sequence", "STOP", "FinishReason.STOP"])
def test_a_natural_end_is_whole_whoever_says_it(said):
    assert ending(said) == "stop"


@pytest.mark.parametrize("said", [None, "", " ", {}, {"type": None}])
def test_an_answer_of_which_no_end_is_told_is_whole(said):
    assert ending(said) == "stop"


@pytest.mark.parametrize(
    "said", ["length", "max_tokens", "model_length", "MAX_TOKENS", "REASON_MAX_LEN", {"type": "length"}]
)
def test_an_answer_that_was_cut_at_its_cap_is_capped_whoever_says_it(said):
    assert ending(said) == "length"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("content_filter", "filtered"),
        ("SAFETY", "filtered"),
        ("tool_calls", "tool_call"),
        ("refusal", "refusal"),
        *((word, "unfinished") for word in ("abort", "error", "cancelled", "repetition", "time_limit", "who knows", 7)),
    ],
)
def test_any_other_end_is_a_failure_and_an_unknown_one_too(said, error):
    assert ending(said) == error
