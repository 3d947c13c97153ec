"""The engine inside this process: vLLM, on GPUs or on the CPU."""

import asyncio
import gc
import logging
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from typing import Any, NoReturn

from operators.errors import BadRequest
from operators.models.engines.base import ANSWER_TRIES, Completion, EngineFailure, Request
from operators.models.engines.chat import prompt_tokens
from operators.models.engines.context import ELSEWHERE, check_vllm_arguments
from operators.models.engines.endings import CAPPED, WHOLE, ending
from operators.models.engines.vllm.arguments import lacks_avx2, runs_in_process, settle_environment, with_defaults
from operators.models.engines.vllm.in_process import InProcessLLM
from operators.models.engines.vllm.lifeline import Lifeline

log = logging.getLogger(__name__)

LIKELY_MAX_NUM_SEQS = 256  # vLLM's own for offline work on most devices; it decides in `start`
FATAL_DEATHS = 3  # of the engine, with the same request in flight
MOST_DEATHS_IN_A_ROW = 5  # without one completion between them
FIRST_ANSWER_S = 120.0
CHECK_MODEL = (
    "Check chat template and generation_config.json of engine.vllm.model, and temperature, top_p and max_tokens."
)


class VllmEngine:
    """Complete requests in an AsyncLLM whose core runs in child processes, or on a processor in a thread of this one.

    `arguments` are vLLM's engine arguments; those that are not given are vLLM's own, but for `vllm_settings`. The
    model's generation_config.json supplies what a request does not say (top_k, repetition_penalty). A prompt that
    leaves no room for one token is refused as too_long; a max_tokens beyond the context is cut to what is left of it.
    `seats` is an estimate until `start` has asked vLLM. On the CPU, with chunked prefill, seeds are not honoured.
    """

    advice = CHECK_MODEL

    def __init__(self, arguments: dict[str, Any]):
        self.arguments = dict(arguments)
        name = self.arguments.get("served_model_name") or self.arguments.get("model", "")
        self.model = name if isinstance(name, str) else name[0]
        self.seats = _seats(self.arguments.get("max_num_seqs") or LIKELY_MAX_NUM_SEQS)
        self.context_tokens: int | None = None
        self._llm = self._builder = None
        self._failure: str | None = "the engine was not started"

    async def start(self) -> None:
        """Load the model: seconds to minutes. Raises BadRequest for arguments, EngineFailure for what fails after."""
        check_vllm_arguments(self.arguments)
        # One thread builds every engine and lives as long as this one: the children are tied to it (see Lifeline).
        self._builder = ThreadPoolExecutor(1, "vllm-builder")
        self._encoder = ThreadPoolExecutor(1, "vllm-encoder")
        self._replacing, self._alone = asyncio.Lock(), asyncio.Lock()
        self._failure = None
        self._generation = self._deaths_in_a_row = 0
        try:
            await self._open()
        except BaseException:
            await self.stop()
            raise
        self.context_tokens = self._llm.model_config.max_model_len
        self.seats = _seats(self._llm.vllm_config.scheduler_config.max_num_seqs)
        self._free_seats = asyncio.Semaphore(self.seats)

    async def stop(self) -> None:
        self._failure = "the engine was stopped"
        if self._builder is None:
            return
        async with self._replacing:
            await self._close()
        builder, self._builder = self._builder, None
        await asyncio.to_thread(builder.shutdown)
        self._encoder.shutdown(wait=False)

    async def complete(self, request: Request) -> Completion:
        from jinja2 import TemplateError

        self._check()
        loop = asyncio.get_running_loop()
        try:
            ids = await loop.run_in_executor(self._encoder, prompt_tokens, self._tokenizer, request.messages)
        except TemplateError as error:
            return _refused("bad_request", error)
        room = self.context_tokens - len(ids)
        if room < 1:
            return Completion(
                None,
                error="too_long",
                detail=f"the prompt has {len(ids)} tokens, the context {self.context_tokens}",
            )
        async with self._free_seats:
            return await self._to_an_end(request, ids, min(request.max_tokens, room))

    async def _to_an_end(self, request: Request, ids: list[int], max_tokens: int) -> Completion:
        """Issue a request again whose answer ended in a failure, a few times."""
        for _ in range(ANSWER_TRIES):
            completion = await self._outlive(request, ids, max_tokens)
            if completion.error is None or completion.completion_tokens is None:
                break  # else there was an answer, and it broke off
        return completion

    async def _outlive(self, request: Request, ids: list[int], max_tokens: int) -> Completion:
        """Issue a request again when the engine died under it, until it is the suspect."""
        from vllm.v1.engine.exceptions import EngineDeadError

        async with AsyncExitStack() as stack:
            for death in range(1, FATAL_DEATHS + 1):
                async with self._replacing:  # an engine that is being replaced is waited for
                    llm, generation = self._llm, self._generation
                try:
                    completion = await self._generate(llm, request, ids, max_tokens)
                except EngineDeadError:
                    await self._replace(generation)
                except asyncio.CancelledError:
                    if asyncio.current_task().cancelling():
                        raise
                    await self._replace(generation)  # the dying engine's socket cancelled what it was sending
                else:
                    self._deaths_in_a_row = 0
                    return completion
                if death == FATAL_DEATHS - 1:
                    # The last try is made alone among the suspects, so that the one to blame harms no other.
                    await stack.enter_async_context(self._alone)
        return Completion(None, error="engine_died", detail=f"the engine died {FATAL_DEATHS} times under this request")

    async def _generate(self, llm: Any, request: Request, ids: list[int], max_tokens: int) -> Completion:
        from vllm.exceptions import VLLMClientError
        from vllm.inputs.engine import tokens_input
        from vllm.v1.engine.exceptions import EngineGenerateError

        self._check()
        try:
            sampling = self._sampling(request, max_tokens)
            (output,) = [each async for each in llm.generate(tokens_input(ids), sampling, request_id=request.key)]
        except (VLLMClientError, ValueError) as error:
            return _refused("bad_request", error)
        except EngineGenerateError as error:  # vLLM wraps in it what it did not foresee
            return _refused("bad_request", error.__cause__ or error)
        answer = output.outputs[0]
        counts = len(ids), len(answer.token_ids), output.num_cached_tokens or 0
        end = ending(answer.finish_reason or "null")  # what vLLM gives last has its reason
        if end not in (WHOLE, CAPPED):
            detail = f"finish_reason {answer.finish_reason!r} after {len(answer.token_ids)} tokens"
            return Completion(None, None, *counts, error=end, detail=detail)
        return Completion(answer.text, end, *counts)

    def _sampling(self, request: Request, max_tokens: int):
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        own = {
            "max_tokens": max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "stop": list(request.stop),
            "seed": request.seed if self._takes_seeds else None,
        }
        return SamplingParams(**(self._model_sampling | own), output_kind=RequestOutputKind.FINAL_ONLY)

    async def _replace(self, generation: int) -> None:
        """Put a new engine in the place of the dead one, once for all that saw it die."""
        async with self._replacing:
            self._check()
            if generation != self._generation:
                return
            self._deaths_in_a_row += 1
            if self._deaths_in_a_row > MOST_DEATHS_IN_A_ROW:
                self._fail(f"died {MOST_DEATHS_IN_A_ROW} times without completing one request")
            log.warning("vLLM died (what it printed may say of what); it is started again and its requests re-issued")
            await self._close()
            try:
                await self._open()
            except (EngineFailure, BadRequest) as error:
                self._fail(f"died and could not be started again ({error})")
            self._generation += 1

    def _check(self) -> None:
        if self._failure:
            raise EngineFailure(self._failure)

    def _fail(self, what: str) -> NoReturn:
        self._failure = f"vLLM with {self.model} {what}. Lower engine.vllm.max_num_seqs or max_model_len. {ELSEWHERE}"
        raise EngineFailure(self._failure)

    async def _open(self) -> None:
        """Build the engine without holding up the event loop, and hear its first answer."""
        await asyncio.get_running_loop().run_in_executor(self._builder, self._load)
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            # vLLM never answers this call if the engine dies during it; later calls take the remembered answer.
            await asyncio.wait_for(self._llm.get_supported_tasks(), FIRST_ANSWER_S)
        except (TimeoutError, EngineDeadError) as error:
            raise EngineFailure(f"vLLM started but did not answer ({type(error).__name__}). {ELSEWHERE}") from error
        config = self._llm.vllm_config
        on_cpu = config.device_config.device_type == "cpu"
        self._takes_seeds = not (on_cpu and config.scheduler_config.enable_chunked_prefill)
        self._tokenizer = self._llm.get_tokenizer()
        self._model_sampling = self._llm.model_config.get_diff_sampling_param()

    def _load(self) -> None:
        self._llm = _build(self.arguments)

    async def _close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._builder, self._unload)

    def _unload(self) -> None:
        llm, self._llm = self._llm, None
        if llm is not None:
            children = [] if isinstance(llm, InProcessLLM) else llm.engine_core.resources.engine_manager.processes
            llm.shutdown()
            for child in children:
                child.join()  # those that are slow to leave vLLM kills, without waiting for their end


def _build(arguments: dict[str, Any]):
    """Start vLLM's processes and load the model; blocks until the engine is ready."""
    settle_environment()
    try:
        with modules_stay():
            from vllm.platforms import current_platform

            if current_platform.is_cpu() and lacks_avx2():
                raise ImportError("this processor has no AVX2")
            from vllm import AsyncEngineArgs
            from vllm.usage.usage_lib import UsageContext
            from vllm.v1.engine.async_llm import AsyncLLM
            from vllm.v1.executor import Executor
    except (ImportError, OSError) as error:
        raise EngineFailure(f"vLLM cannot run here ({type(error).__name__}: {error}). {ELSEWHERE}") from error
    try:
        settings = AsyncEngineArgs(**with_defaults(arguments, on_cpu=current_platform.is_cpu()))
        config = settings.create_engine_config(UsageContext.LLM_CLASS)
        config.lifeline = Lifeline()
    except (ValueError, TypeError) as error:
        raise BadRequest(f"vLLM refuses engine.vllm: {error}") from error
    except Exception as error:
        raise _not_started(arguments, error) from error
    try:
        executor = Executor.get_class(config)
        if current_platform.is_cpu() and runs_in_process(arguments):
            return InProcessLLM(config, executor)
        llm = AsyncLLM(config, executor, log_stats=False, log_requests=False)
    except Exception as error:
        raise _not_started(arguments, error) from error
    # It would log the death of an engine with a traceback, also of one that is shut down; the requests hear of it anyway.
    # Only now, because vLLM configures its loggers while it starts.
    logging.getLogger("vllm.v1.engine.async_llm").setLevel(logging.CRITICAL)
    return llm


@contextmanager
def modules_stay() -> Iterator[None]:
    """Take what is loaded meanwhile for what stays: to look for garbage among it, now and later, was a third of the start."""
    if "vllm" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _not_started(arguments: dict[str, Any], error: Exception) -> EngineFailure:
    return EngineFailure(
        f"vLLM did not start with {arguments['model']} ({type(error).__name__}: {error}). What it printed says why; "
        f"if memory ran out, lower engine.vllm.max_model_len, max_num_seqs or gpu_memory_utilization. {ELSEWHERE}"
    )


def _seats(max_num_seqs: int) -> int:
    """Let in a tenth more requests than the scheduler runs, so that none of its places is ever empty."""
    return int(1.1 * max_num_seqs) + 1


def _refused(word: str, error: BaseException) -> Completion:
    return Completion(None, error=word, detail=f"{type(error).__name__}: {error}")
