"""The thread beside the event loop, with an engine written by hand in vLLM's place."""

import asyncio
import threading
from types import SimpleNamespace

import pytest

from operators.models.engines.vllm.in_process import InProcessLLM

pytestmark = pytest.mark.model  # vLLM is imported, if only for its errors
CONFIG = SimpleNamespace(model_config=None)


class ScriptedEngine:
    """Stands where LLMEngine stands: answers `quick` at the next step and `slow` never, refuses `bad`, breaks at `broken`."""

    refused_to_start: Exception | None = None

    def __init__(self, config, executor, log_stats, multiprocess_mode):
        if self.refused_to_start:
            raise self.refused_to_start
        self.requests, self.aborted, self.ended = {}, [], threading.Event()
        self.engine_core = SimpleNamespace(shutdown=self.ended.set)

    def has_unfinished_requests(self):
        return bool(self.requests)

    def add_request(self, number, prompt, sampling):
        self.requests[number] = prompt
        if prompt == "bad":
            raise ValueError("no such prompt")

    def abort_request(self, numbers):
        self.aborted += numbers
        for number in numbers:
            self.requests.pop(number, None)

    def step(self):
        if "broken" in self.requests.values():
            raise RuntimeError("a step that fails")
        done = [number for number, prompt in self.requests.items() if prompt == "quick"]
        return [SimpleNamespace(request_id=number, text=self.requests.pop(number)) for number in done]


@pytest.fixture
def llm(monkeypatch):
    module = pytest.importorskip("vllm.v1.engine.llm_engine", reason="vLLM is not installed")
    monkeypatch.setattr(module, "LLMEngine", ScriptedEngine)
    llm = InProcessLLM(CONFIG, executor=None)
    yield llm
    llm.shutdown()


async def ask(llm, prompt: str) -> str:
    (output,) = [each async for each in llm.generate(prompt, None, "key")]
    return output.text


async def until(condition) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)


def test_requests_of_one_key_get_their_own_answers_while_a_slow_one_waits(llm):
    async def both():
        slow = asyncio.create_task(ask(llm, "slow"))
        answers = await asyncio.gather(*[ask(llm, "quick") for _ in range(20)])
        slow.cancel()
        return answers

    assert asyncio.run(both()) == ["quick"] * 20


def test_a_request_whose_asker_left_is_taken_back(llm):
    engine = llm._engine

    async def leave():
        task = asyncio.create_task(ask(llm, "slow"))
        await until(lambda: engine.requests)
        task.cancel()
        await until(lambda: engine.aborted and not engine.requests)
        return await ask(llm, "quick")

    assert asyncio.run(leave()) == "quick"


def test_a_request_that_is_refused_leaves_nothing_behind(llm):
    from vllm.v1.engine.exceptions import EngineGenerateError

    with pytest.raises(EngineGenerateError) as refused:
        asyncio.run(ask(llm, "bad"))
    assert str(refused.value.__cause__) == "no such prompt"
    assert llm._engine.requests == {} and asyncio.run(ask(llm, "quick")) == "quick"


def test_a_step_that_fails_ends_the_engine_for_all_that_wait_and_all_that_come(llm, capfd):
    from vllm.v1.engine.exceptions import EngineDeadError

    engine = llm._engine

    async def break_it():
        waiting = [asyncio.create_task(ask(llm, prompt)) for prompt in ("slow", "broken")]
        await asyncio.wait(waiting, timeout=30)
        return [task.exception() for task in waiting]

    assert [type(error) for error in asyncio.run(break_it())] == [EngineDeadError] * 2
    with pytest.raises(EngineDeadError):
        asyncio.run(ask(llm, "quick"))
    assert engine.ended.wait(30) and "a step that fails" in capfd.readouterr().err


def test_what_waits_when_the_engine_is_shut_down_hears_of_it(llm):
    from vllm.v1.engine.exceptions import EngineDeadError

    engine = llm._engine

    async def close():
        task = asyncio.create_task(ask(llm, "slow"))
        await until(lambda: engine.requests)
        await asyncio.to_thread(llm.shutdown)
        await asyncio.wait([task], timeout=30)
        return task.exception()

    assert isinstance(asyncio.run(close()), EngineDeadError) and engine.ended.is_set()


def test_what_keeps_the_engine_from_starting_is_raised_where_it_is_built(monkeypatch):
    module = pytest.importorskip("vllm.v1.engine.llm_engine", reason="vLLM is not installed")
    monkeypatch.setattr(module, "LLMEngine", ScriptedEngine)
    monkeypatch.setattr(ScriptedEngine, "refused_to_start", MemoryError("no room"))
    with pytest.raises(MemoryError, match="no room"):
        InProcessLLM(CONFIG, executor=None)
