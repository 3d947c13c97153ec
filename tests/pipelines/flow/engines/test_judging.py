import asyncio

import pytest

from operators.models.engines.base import Completion, EngineFailure, Request
from pipelines.exits import Blamed
from pipelines.flow.board.verdicts import FEWEST, Verdicts
from pipelines.flow.engines.judging import JudgedEngine
from pipelines.rephrase.rows import REASONS
from tests.fakes.scripted_engine import ScriptedEngine

GOOD = Completion("text", "stop")
REFUSED = Completion(None, error="bad_request", detail="unknown field min_p")
NO_TEXT = Completion(None, error="no_text", detail="nothing but reasoning came.")


class Board:
    """A scoreboard in the same process."""

    def __init__(self):
        self.verdicts, self.calls = Verdicts(), 0
        self.verdicts.judge(0.95, REASONS, "style")

    async def was_answered(self, style):
        self.calls += 1
        self.verdicts.was_answered(style)

    async def was_lost(self, style, fate):
        self.calls += 1
        return self.verdicts.was_lost(style, fate)


def ask(engine: JudgedEngine, times: int, kind: str = "qa") -> list:
    async def run() -> list:
        asked = (engine.complete(Request(str(n), (), 1, 0.0, 1.0, kind=kind)) for n in range(times))
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (REFUSED, r"20 of the first 20 requests in style 'qa' .* unknown field min_p\. Check engine\.openai\.extra\."),
        (KeyError("odd"), r"rephrase/error.*KeyError: 'odd'.*Check engine\.openai\.extra\."),
        (NO_TEXT, r"rephrase/no_text.*nothing but reasoning came\. They are not settled"),
    ],
)
def test_an_engine_that_answers_nobody_is_blamed_with_its_own_words_and_asked_no_more(answer, said):
    engine = JudgedEngine(ScriptedEngine(*[answer] * 50), "rephrase", Board())
    answers = ask(engine, 30)
    assert [type(one) for one in answers] == [type(answer)] * (FEWEST - 1) + [Blamed] * (31 - FEWEST)
    with pytest.raises(Blamed, match=said):
        raise answers[-1]
    assert next(engine.engine.answers)  # nothing was sent after the verdict


def test_what_waits_for_a_seat_when_the_engine_is_blamed_is_sent_no_more():
    class Narrow(ScriptedEngine):
        """Has one seat."""

        sent = 0

        async def complete(self, request: Request) -> Completion:
            self.seat = getattr(self, "seat", None) or asyncio.Semaphore(1)
            async with self.seat:
                self.sent += 1
                await asyncio.sleep(0.001)
                return REFUSED

    engine = JudgedEngine(Narrow(), "rephrase", Board())
    answers = ask(engine, 200)
    assert sum(isinstance(answer, Blamed) for answer in answers) == 201 - FEWEST
    assert engine.engine.sent <= FEWEST + 2


def test_several_engines_are_judged_together():
    board = Board()
    engines = [JudgedEngine(ScriptedEngine(*[REFUSED] * 20), "rephrase", board) for _ in range(4)]
    answers = [answer for engine in engines for answer in ask(engine, 6)]
    assert sum(isinstance(answer, Blamed) for answer in answers) == 24 - FEWEST + 1


def test_once_a_kind_is_answered_the_board_hears_no_more_of_it():
    board = Board()
    engine = JudgedEngine(ScriptedEngine(GOOD, *[REFUSED] * 99), "rephrase", board)
    assert ask(engine, 100)[1:] == [REFUSED] * 99 and board.calls == 1


def test_what_is_no_requests_fault_is_no_lost_request():
    board = Board()
    engine = JudgedEngine(ScriptedEngine(*[EngineFailure("dead")] * 30), "rephrase", board)
    assert {str(answer) for answer in ask(engine, 30)} == {"dead"} and board.calls == 0
