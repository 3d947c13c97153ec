import pytest

from pipelines.flow.board.verdicts import FEWEST, FEWEST_BY_RULE, WINDOW, Fate, Verdicts
from pipelines.rephrase.rows import REASONS

GOOD, REFUSED, LATE = Fate(None), Fate("rephrase/bad_request", "no such field"), Fate("rephrase/timeout")
COPY = Fate("clean/copy", "0.97")


def judge(share: float | None = 0.95) -> Verdicts:
    verdicts = Verdicts()
    verdicts.judge(share, REASONS)
    return verdicts


def lost(verdicts: Verdicts, style: str, fate: Fate, times: int) -> list:
    return [verdicts.was_lost(style, fate) for _ in range(times)]


def test_an_engine_that_has_answered_none_of_so_many_is_to_blame():
    verdicts = judge()
    assert not any(lost(verdicts, "qa", REFUSED, FEWEST - 1))
    verdict = verdicts.was_lost("qa", REFUSED)
    assert verdict.blamed == (("qa", "rephrase/bad_request"),) and "no such field" in verdict.message


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


def test_what_was_kept_before_counts_as_good():
    verdicts = judge()
    verdicts.known_good(["qa"])
    assert not any(lost(verdicts, "qa", REFUSED, 3 * FEWEST)) and verdicts.became("qa", [REFUSED] * 900) is None
    assert verdicts.became("easy", [REFUSED] * FEWEST)


def test_nobody_is_judged_before_the_share_is_told_or_where_it_is_null():
    for verdicts in (Verdicts(), judge(None)):
        assert not any(lost(verdicts, "qa", REFUSED, 100)) and verdicts.became("qa", [REFUSED] * 5000) is None
