"""vLLM with its core in a thread of this process.

An AsyncLLM starts a process for its core, which loads torch and vLLM once more: half of the start of an engine on a processor
(benchmarks/engine_start.py). What that process is good for, steps beside the work of the one who asks, matters on a GPU.
"""

import asyncio
import itertools
import queue
import threading
import traceback
from collections.abc import AsyncIterator
from typing import Any

CLOSE = None


class InProcessLLM:
    """Has the face of an AsyncLLM, as far as VllmEngine looks at it. The constructor blocks until the engine is ready.

    One thread builds the engine and takes its steps: what torch and OpenMP know of threads holds for the one that was told. An
    error in a step ends the engine: EngineDeadError for all that wait, and for all that come. So does `shutdown`. What ends
    a process, as an error in native code does, ends this one.
    """

    def __init__(self, config: Any, executor: type):
        self.vllm_config, self.model_config = config, config.model_config
        self._inbox: queue.SimpleQueue = queue.SimpleQueue()
        self._waiting: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Future]] = {}
        self._numbers, self._dead = itertools.count(), False
        ready: queue.SimpleQueue = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._live, args=(executor, ready), name="vllm-core", daemon=True)
        self._thread.start()
        if (error := ready.get()) is not None:
            raise error

    def get_tokenizer(self) -> Any:
        return self._engine.get_tokenizer()

    async def get_supported_tasks(self) -> tuple[str, ...]:
        return self._engine.get_supported_tasks()

    async def generate(self, prompt: Any, sampling: Any, request_id: str) -> AsyncIterator[Any]:
        """Give the finished output of a request."""
        from vllm.v1.engine.exceptions import EngineDeadError

        loop, number = asyncio.get_running_loop(), f"{request_id}#{next(self._numbers)}"
        answer = loop.create_future()
        self._waiting[number] = loop, answer  # before the look at the engine, so that its death finds it
        try:
            if self._dead:
                raise EngineDeadError()
            self._inbox.put((number, prompt, sampling))
            yield await answer
        except asyncio.CancelledError:
            self._inbox.put((number, None, None))
            raise
        finally:
            self._waiting.pop(number, None)

    def shutdown(self) -> None:
        """Give up what waits, and return when the engine has ended."""
        self._inbox.put(CLOSE)
        self._thread.join()

    def _live(self, executor: type, ready: queue.SimpleQueue) -> None:
        from vllm.v1.engine.llm_engine import LLMEngine

        try:
            self._engine = LLMEngine(self.vllm_config, executor, log_stats=False, multiprocess_mode=False)
        except BaseException as error:
            ready.put(error)
            return
        ready.put(None)
        try:
            while self._takes_what_came():
                for output in self._engine.step():
                    self._answer(output.request_id, output)
        except Exception:
            traceback.print_exc()
        finally:
            self._die()
            self._engine.engine_core.shutdown()
            del self._engine

    def _takes_what_came(self) -> bool:
        """Take all requests that came in, waiting for one where there is nothing else to do; tells whether to go on."""
        while True:
            try:
                came = self._inbox.get(block=not self._engine.has_unfinished_requests())
            except queue.Empty:
                return True
            if came is CLOSE:
                return False
            self._take(*came)

    def _take(self, number: str, prompt: Any, sampling: Any) -> None:
        """Hand a request to the engine, or take it back where there is no prompt."""
        from vllm.v1.engine.exceptions import EngineGenerateError

        if prompt is None:
            self._engine.abort_request([number])
            return
        try:
            self._engine.add_request(number, prompt, sampling)
        except Exception as error:
            self._engine.abort_request([number])  # it may be half in
            refused = EngineGenerateError()
            refused.__cause__ = error
            self._answer(number, refused)

    def _die(self) -> None:
        from vllm.v1.engine.exceptions import EngineDeadError

        self._dead = True
        for number in list(self._waiting):
            self._answer(number, EngineDeadError())

    def _answer(self, number: str, what: Any) -> None:
        waits = self._waiting.pop(number, None)
        if waits:
            loop, answer = waits
            loop.call_soon_threadsafe(_settle, answer, what)


def _settle(answer: asyncio.Future, what: Any) -> None:
    if answer.done():  # whoever asked has left
        return
    if isinstance(what, BaseException):
        answer.set_exception(what)
    else:
        answer.set_result(what)
