import asyncio

import pytest

from operators.models.engines.base import Completion, EngineFailure, Request
from pipelines.flow.engines.counting import CountedEngine
from tests.fakes.scripted_engine import ScriptedEngine


def ask(engine: CountedEngine, raises: type[Exception] | None = None) -> None:
    request = Request("r", (), 1, 0.0, 1.0)
    if raises is None:
        asyncio.run(engine.complete(request))
    else:
        with pytest.raises(raises):
            asyncio.run(engine.complete(request))


def test_requests_are_counted_with_their_tokens_and_those_that_failed():
    good = Completion("text", "stop", prompt_tokens=10, completion_tokens=3, cached_tokens=6)
    engine = CountedEngine(ScriptedEngine(good, Completion(None, error="too_long"), good, KeyError("odd")))
    for raises in (None, None, None, KeyError):
        ask(engine, raises)
    progress = engine.progress
    assert (progress.done, progress.failed, progress.in_flight) == (4, 2, 0)
    assert (progress.prompt_tokens, progress.cached_tokens, progress.completion_tokens) == (20, 12, 6)


def test_what_is_the_engines_fault_is_counted_as_no_request():
    engine = CountedEngine(ScriptedEngine(EngineFailure("dead")))
    ask(engine, EngineFailure)
    assert (engine.progress.done, engine.progress.failed, engine.progress.in_flight) == (0, 0, 0)


def test_requests_under_way_are_in_flight_until_they_end_or_are_given_up():
    class Waiting:
        async def complete(self, request: Request) -> Completion:
            await asyncio.Event().wait()

    async def counts() -> list[int]:
        engine = CountedEngine(Waiting())
        tasks = [asyncio.ensure_future(engine.complete(Request("r", (), 1, 0.0, 1.0))) for _ in range(3)]
        await asyncio.sleep(0)
        seen = [engine.progress.in_flight]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return [*seen, engine.progress.in_flight, engine.progress.done]

    assert asyncio.run(counts()) == [3, 0, 0]
