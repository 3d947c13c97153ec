"""The engine for where vLLM is not to be had: transformers' own generate, batch by batch."""

import asyncio
import gc
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from operators.errors import BadRequest
from operators.models.device import chosen_device
from operators.models.engines.base import ANSWER_TRIES, Completion, EngineFailure, Request
from operators.models.engines.chat import prompt_tokens
from operators.models.engines.endings import CAPPED, WHOLE
from operators.models.engines.transformers.row_sampling import RowLimits, RowSampler
from operators.settings import setting

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
CHECK_MODEL = "Check the chat template of engine.transformers.model, its size, and temperature, top_p and max_tokens."


@dataclass
class TransformersConfig:
    model: str = setting("", "model folder, or name on the Hugging Face hub")
    batch_size: int = setting(8, "requests generated together; halved where memory runs out", identity=False)
    dtype: str = setting("auto", "type of the weights: auto (as saved), float32, bfloat16 or float16")
    device: str | None = setting(None, "cpu, cuda, cuda:1, mps; null takes a GPU where there is one", identity=False)
    max_wait_ms: int = setting(20, "milliseconds that a batch waits to be filled", identity=False)


@dataclass
class _Waiting:
    request: Request
    ids: list[int]
    max_tokens: int
    answer: asyncio.Future


class TransformersEngine:
    """Complete requests in batches; a batch ends when its longest answer does.

    Each row of a batch is sampled with its own seed, temperature, top_p, stop strings and max_tokens. A batch that
    fails is halved until the request to blame is alone. Raises BadRequest for settings that cannot work.
    """

    advice = CHECK_MODEL

    def __init__(self, config: TransformersConfig):
        if not config.model:
            raise BadRequest("engine.transformers.model is empty. Give a model folder or a name on the hub.")
        if config.batch_size < 1:
            raise BadRequest(f"engine.transformers.batch_size is {config.batch_size}; it must be at least 1.")
        self.config, self.model, self.seats = config, config.model, config.batch_size
        self.context_tokens: int | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._failure: str | None = "the engine was not started"

    async def start(self) -> None:
        """Load the model. Raises EngineFailure with advice where it cannot be loaded."""
        self._thread = ThreadPoolExecutor(1, "transformers")
        self._batch_size = self.config.batch_size
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._load)
        except Exception as error:
            await self.stop()
            raise EngineFailure(
                f"transformers cannot load {self.model} ({type(error).__name__}: {error}). "
                "Check engine.transformers.model, device and dtype, or choose engine.openai (a server)."
            ) from error
        self._failure = None
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._feeding = asyncio.create_task(self._feed())

    async def stop(self) -> None:
        if self._thread is None:
            return
        if self._failure is None:
            self._feeding.cancel()
            self._fail("the engine was stopped")
        thread, self._thread = self._thread, None
        await asyncio.to_thread(thread.shutdown)
        self._network = None
        gc.collect()

    async def complete(self, request: Request) -> Completion:
        from jinja2 import TemplateError

        self._check()
        try:
            ids = prompt_tokens(self._tokenizer, request.messages)
        except TemplateError as error:
            return _refused(error)
        room = self.context_tokens - len(ids) if self.context_tokens else request.max_tokens
        if room < 1:
            detail = f"the prompt has {len(ids)} tokens, the context {self.context_tokens}"
            return Completion(None, error="too_long", detail=detail)
        if not ids or request.temperature < 0 or not 0 < request.top_p <= 1 or request.max_tokens < 1:
            return Completion(
                None, error="bad_request", detail=f"empty prompt, or sampling out of range: {request}"[:500]
            )
        return await self._to_an_end(request, ids, min(request.max_tokens, room))

    async def _to_an_end(self, request: Request, ids: list[int], max_tokens: int) -> Completion:
        """Issue a request again whose answer ended in a failure, a few times."""
        for _ in range(ANSWER_TRIES):
            self._check()  # nobody would look into the queue of an engine that has failed
            answer = asyncio.get_running_loop().create_future()
            self._queue.put_nowait(_Waiting(request, ids, max_tokens, answer))
            completion = await answer
            if completion.error is None or completion.completion_tokens is None:
                break  # else there was an answer, and it broke off
        return completion

    def _load(self) -> None:
        # Threads that spin while they wait lose most of their throughput where another process wants a core.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        device = chosen_device(self.config.device)
        self._tokenizer = AutoTokenizer.from_pretrained(self.model, padding_side="left")
        network = AutoModelForCausalLM.from_pretrained(self.model, dtype=self.config.dtype)
        self._network = network.eval().to(device)
        self.context_tokens = getattr(network.config.get_text_config(), "max_position_embeddings", None)
        ends = network.generation_config.eos_token_id
        ends = self._tokenizer.eos_token_id if ends is None else ends
        self._ends = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
        pads = (self._tokenizer.pad_token_id, *self._ends, 0)
        self._pad = next(pad for pad in pads if pad is not None)

    async def _feed(self) -> None:
        """Gather what waits into batches, for ever. What is not foreseen ends the engine, never a waiting caller."""
        loop = asyncio.get_running_loop()
        while True:
            batch = [each for each in await self._gather() if not each.answer.done()]  # a caller may have left
            if not batch:
                continue
            try:
                completions = await loop.run_in_executor(self._thread, self._run, batch)
            except Exception as error:
                self._fail(f"transformers failed with {self.model} ({type(error).__name__}: {error})", batch)
                return
            for waiting, completion in zip(batch, completions, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(completion)

    async def _gather(self) -> list[_Waiting]:
        batch = [await self._queue.get()]
        try:
            async with asyncio.timeout(self.config.max_wait_ms / 1000):
                while len(batch) < self._batch_size:
                    batch.append(await self._queue.get())
        except TimeoutError:
            pass  # what has come by now is the batch
        return batch

    def _check(self) -> None:
        if self._failure:
            raise EngineFailure(self._failure)

    def _fail(self, why: str, batch: list[_Waiting] | None = None) -> None:
        self._failure = why
        waiting = list(batch or [])
        while not self._queue.empty():
            waiting.append(self._queue.get_nowait())
        for each in waiting:
            if not each.answer.done():
                each.answer.set_exception(EngineFailure(why))

    def _run(self, batch: list[_Waiting]) -> list[Completion]:
        """Generate for a batch; one that fails is halved, down to the request that is to blame."""
        import torch

        try:
            return self._generate(batch)
        except getattr(torch, "AcceleratorError", ()):
            raise  # the device is lost for this process
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:
            if len(batch) == 1:
                return [_refused(error)]
            if any(sign in str(error) for sign in OUT_OF_MEMORY) or isinstance(error, MemoryError):
                self._batch_size = max(1, len(batch) // 2)
        gc.collect()  # the failed batch's tensors, before the next need their room
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        half = len(batch) // 2
        return self._run(batch[:half]) + self._run(batch[half:])

    def _generate(self, batch: list[_Waiting]) -> list[Completion]:
        import torch

        width = max(len(waiting.ids) for waiting in batch)
        ids_BT = torch.tensor([[self._pad] * (width - len(each.ids)) + each.ids for each in batch])
        mask_BT = torch.tensor([[0] * (width - len(each.ids)) + [1] * len(each.ids) for each in batch])
        limits = RowLimits(self._tokenizer, width, self._ends, [(each.max_tokens, each.request.stop) for each in batch])
        device = self._network.device
        with torch.inference_mode():
            out_BT = self._network.generate(
                input_ids=ids_BT.to(device),
                attention_mask=mask_BT.to(device),
                logits_processor=[RowSampler([each.request for each in batch], device)],
                stopping_criteria=[limits],
                generation_config=self._generation_config(max(each.max_tokens for each in batch)),
            )
        rows = out_BT[:, width:].tolist()
        return [
            self._completion(each, limits.cut(row, ids))
            for row, (each, ids) in enumerate(zip(batch, rows, strict=True))
        ]

    def _generation_config(self, max_tokens: int) -> Any:
        from transformers import GenerationConfig

        penalty = self._network.generation_config.repetition_penalty
        return GenerationConfig(
            max_new_tokens=max_tokens,
            do_sample=False,  # RowSampler has drawn already
            repetition_penalty=penalty,
            eos_token_id=self._ends or None,
            pad_token_id=self._pad,
        )

    def _completion(self, waiting: _Waiting, cut: tuple[list[int], str]) -> Completion:
        ids, end = cut
        counts = len(waiting.ids), len(ids)
        if end not in (WHOLE, CAPPED):
            return Completion(
                None, None, *counts, error=end, detail=f"generate ended after {len(ids)} tokens, for no reason"
            )
        text = self._tokenizer.decode(ids, skip_special_tokens=True)
        found = [text.find(stop) for stop in waiting.request.stop if stop in text]
        return Completion(text[: min(found)] if found else text, end, *counts)


def _refused(error: BaseException) -> Completion:
    return Completion(None, error="bad_request", detail=f"{type(error).__name__}: {error}")
