"""What every engine promises, whatever is behind it: one test over all of them."""

import asyncio

import pytest

from operators.models.engines.base import Engine, Request
from operators.models.engines.openai.engine import OpenAIConfig, OpenAIEngine
from tests.fakes.openai_server import running_server

PASSAGE = "The mill stands by the river, and the river turns its wheel from spring until the first hard frost. " * 2


@pytest.fixture
def openai_engine():
    with running_server(latency=0.02, max_model_len=512) as server:
        yield OpenAIEngine(OpenAIConfig(base_url=server.url, model="fake", concurrency=4))


@pytest.mark.parametrize(
    "name",
    [
        "openai",
        pytest.param("transformers", marks=pytest.mark.model),
        pytest.param("vllm", marks=[pytest.mark.model, pytest.mark.long]),
    ],
)
def test_an_engine_keeps_its_promises(name, request):
    engine = request.getfixturevalue(f"{name}_engine")

    async def check() -> None:
        async with asyncio.timeout(240):
            await engine.start()
            try:
                await refused_requests_are_told_of_their_own_fault(engine, 2 * max(engine.seats, 20))
                await each_request_gets_its_own_answer(engine)
                await an_overlong_request_errors_alone(engine)
                await a_cancelled_request_gives_its_seat_back(engine)
            finally:
                await engine.stop()

    asyncio.run(check())


async def refused_requests_are_told_of_their_own_fault(engine: Engine, count: int) -> None:
    """Whether that is the engine's own is for those to judge who see all of a kind."""
    completions = await asyncio.gather(*(engine.complete(ask(n, 4, "<<400>>", top_p=3.0)) for n in range(count)))
    assert [completion.error for completion in completions] == ["bad_request"] * count


async def each_request_gets_its_own_answer(engine: Engine) -> None:
    """Every request has its own max_tokens, so an answer that went astray shows; there are more of them than seats."""
    caps = [1 + index % 23 for index in range(max(24, 2 * engine.seats))]
    completions = await asyncio.gather(*(engine.complete(ask(index, cap)) for index, cap in enumerate(caps)))
    for cap, completion in zip(caps, completions, strict=True):
        assert completion.error is None and isinstance(completion.text, str)
        assert 0 < completion.completion_tokens <= cap
        assert completion.finish_reason in ("stop", "length")
        assert completion.finish_reason == "stop" or completion.completion_tokens == cap
        assert 0 <= completion.cached_tokens <= completion.prompt_tokens
        assert completion.prompt_tokens > 10
    assert any(completion.finish_reason == "length" for completion in completions)


async def an_overlong_request_errors_alone(engine: Engine) -> None:
    requests = [ask(0, 4), ask(1, 4, text=PASSAGE * 200), ask(2, 4)]
    good, long, other = await asyncio.gather(*map(engine.complete, requests))
    assert long.error == "too_long" and long.text is None and long.detail
    assert good.error is None and other.error is None


async def a_cancelled_request_gives_its_seat_back(engine: Engine) -> None:
    tasks = [asyncio.create_task(engine.complete(ask(index, 200))) for index in range(2 * engine.seats)]
    await asyncio.wait(tasks, timeout=0.05)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (await engine.complete(ask(0, 4))).error is None


def ask(number: int, max_tokens: int, text: str = PASSAGE, top_p: float = 0.9) -> Request:
    messages = ({"role": "user", "content": f"Rewrite passage {number}.\n\n{text}"},)
    return Request(f"r{number}", messages, max_tokens=max_tokens, temperature=0.7, top_p=top_p, seed=number)
