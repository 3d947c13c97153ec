import pytest

from operators.table import ORIGINAL
from pipelines.flow.board.verdicts import FEWEST, FEWEST_BY_RULE, FEWEST_RESUMED, WINDOW, Fate, Verdicts
from pipelines.rephrase.rows import REASONS

GOOD, REFUSED, LATE = Fate(None), Fate("rephrase/bad_request", "no such field"), Fate("rephrase/timeout")
COPY = Fate("clean/copy", "0.97")


def judge(share: float | None = 0.95) -> Verdicts:
    verdicts = Verdicts()
    verdicts.judge(share, REASONS, "style")
    return verdicts


def lost(verdicts: Verdicts, style: str, fate: Fate, times: int) -> list:
    return [verdicts.was_lost(style, fate) for _ in range(times)]


def test_an_engine_that_has_answered_none_of_so_many_is_to_blame():
    verdicts = judge()
    assert not any(lost(verdicts, "qa", REFUSED, FEWEST - 1))
    verdict = verdicts.was_lost("qa", REFUSED)
    assert verdict.blamed == (("qa", "rephrase/bad_request"),) and "no such field" in verdict.message
    assert verdicts.was_lost("qa", REFUSED) == verdict  # what is lost meanwhile says nothing else


def test_the_requests_of_all_styles_count_together_while_none_of_any_is_answered():
    verdicts = judge()
    found = [lost(verdicts, style, REFUSED, FEWEST // 2) for style in ("qa", "easy")][-1]
    assert found[-1].blamed == ((None, "rephrase/bad_request"),)


def test_one_style_is_to_blame_though_others_are_answered():
    verdicts = judge()
    verdicts.was_answered("easy")
    assert lost(verdicts, "qa", REFUSED, FEWEST)[-1].blamed == (("qa", "rephrase/bad_request"),)


def test_an_answer_clears_a_style_and_different_reasons_blame_nobody():
    verdicts = judge()
    verdicts.was_answered("qa")
    assert not any(lost(verdicts, "qa", REFUSED, 5 * FEWEST))
    verdicts = judge()
    assert not any(fate for _ in range(FEWEST) for kind in (REFUSED, LATE) for fate in lost(verdicts, "qa", kind, 1))


@pytest.mark.parametrize(
    ("fate", "enough"), [(REFUSED, FEWEST), (Fate("clean/truncated"), FEWEST), (COPY, FEWEST_BY_RULE)]
)
def test_answers_that_all_came_to_nothing_are_blamed_a_rule_later_than_a_failure(fate, enough):
    assert judge().became("qa", [fate] * (enough - 1)) is None
    assert judge().became("qa", [fate] * enough).blamed == (("qa", fate.reason),)


@pytest.mark.parametrize(("bad", "blamed"), [(96, True), (95, True), (94, False)])
def test_nearly_all_is_a_share_of_the_newest(bad, blamed):
    fates = [GOOD] * (100 - bad) + [REFUSED] * bad
    assert bool(judge().became("qa", fates)) == blamed


def test_a_bad_stretch_after_good_answers_must_fill_the_window():
    verdicts = judge()
    verdicts.became("qa", [GOOD] * WINDOW)
    stretches = [verdicts.became("qa", [REFUSED] * 10) for _ in range(WINDOW // 10)]
    assert stretches.index(next(filter(None, stretches))) == 0.95 * WINDOW // 10 - 1
    assert "950 of the newest 1,000 answers" in next(filter(None, stretches)).message


@pytest.mark.parametrize(
    ("signs", "advice"),
    [
        (["rephrase/no_text", "clean/truncated"], "also told as clean/truncated"),
        (["clean/only_reasoning", "clean/truncated", "clean/empty", "rephrase/no_text"], "Raise max_tokens"),
    ],
)
def test_an_answer_that_never_came_is_one_reason_in_whatever_ways_it_shows(signs, advice):
    fates = [Fate(sign) for sign in signs] * FEWEST
    verdict = judge().became("qa", [Fate(signs[0], "hm"), *fates])
    assert set(verdict.blamed) == {("qa", sign) for sign in signs}
    assert f"for one reason, {signs[0]} (also" in verdict.message and advice in verdict.message
    other = [Fate("rephrase/no_room"), Fate("rephrase/too_long"), Fate("clean/copy")]
    assert judge().became("qa", [Fate(signs[0]), *other] * FEWEST) is None


def test_what_was_kept_before_counts_as_good():
    verdicts = judge()
    verdicts.resume({"qa": 5000, "original": 70}, known_bad=0, beside=ORIGINAL)
    assert not any(lost(verdicts, "qa", REFUSED, FEWEST_RESUMED - 1)) and verdicts.became("qa", [REFUSED] * 900) is None
    assert lost(verdicts, "qa", REFUSED, 1)[0].blamed == (("qa", "rephrase/bad_request"),)
    assert verdicts.became("easy", [REFUSED] * FEWEST)


def test_a_little_that_was_kept_before_counts_for_no_more_than_that():
    verdicts = judge()
    verdicts.resume({"qa": 1}, known_bad=0, beside=ORIGINAL)
    assert verdicts.became("qa", [REFUSED] * (FEWEST - 2)) is None and verdicts.became("qa", [REFUSED])


def test_an_engine_that_answers_nobody_any_more_stops_a_resumed_run_but_not_what_is_known_to_be_bad():
    for known_bad in (0, 1000):
        verdicts = judge()
        verdicts.resume({"qa": 10**6}, known_bad, beside=ORIGINAL)
        answered = lost(verdicts, "qa", Fate("rephrase/no_room"), FEWEST_RESUMED + known_bad)
        assert not any(answered[:-1]) and answered[-1].blamed == (("qa", "rephrase/no_room"),)
    verdicts.was_answered("qa")
    assert not any(lost(verdicts, "qa", REFUSED, 5000))


def test_real_text_that_was_kept_before_clears_no_engine():
    verdicts = judge()
    verdicts.resume({"original": 5000}, known_bad=0, beside=ORIGINAL)
    assert lost(verdicts, "qa", REFUSED, FEWEST)[-1]


def test_nobody_is_judged_before_the_share_is_told_or_where_it_is_null():
    for verdicts in (Verdicts(), judge(None)):
        assert not any(lost(verdicts, "qa", REFUSED, 100)) and verdicts.became("qa", [REFUSED] * 5000) is None
