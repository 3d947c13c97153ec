"""Rephrase: let a model rewrite each chunk in its style."""

import asyncio
import math
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.errors import BadRequest
from operators.models.engines.base import Completion, Engine, EngineFailure, Request, unforeseen
from operators.rewrite.prompts import Prompt, load_prompt
from operators.settings import setting
from operators.table import COMPLETIONS, reject, rewrites, spread, with_columns

SAMPLING = ("temperature", "top_p", "max_tokens")


@dataclass
class RephraseConfig:
    styles: list[str] = setting(["medium"], "prompts to use, by name (see `gristmill list`) or by path of a file")
    prompt_order: str = setting(
        "instruction_first", "or text_first: styles of one chunk then share its prefix in the engine's cache"
    )
    system: str | None = setting(None, "system line of every request, empty for none; null: each prompt's own")
    temperature: float | None = setting(None, "sampling temperature, 0 is greedy; null: each prompt's own")
    top_p: float | None = setting(None, "share of probability to sample from; null: each prompt's own")
    max_tokens: int | None = setting(None, "cap of a completion in tokens; null: each prompt's own")
    seed: int = setting(0, "seed of the sampling; each request's own is derived from it and the row's id")
    carry_context: bool = setting(False, "show each chunk the end of the rewrite before it (one chunk after the other)")
    context_tokens: int = setting(200, "most tokens of that rewrite to show")

    def __post_init__(self):
        if self.temperature is not None and not 0 <= self.temperature < math.inf:
            raise BadRequest(f"temperature is a number from 0 (greedy) or null, got {self.temperature}.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise BadRequest(f"top_p is a share above 0 up to 1 or null, got {self.top_p}. For 95% write 0.95.")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise BadRequest(f"max_tokens is a number of tokens from 1 or null, got {self.max_tokens}.")
        if self.context_tokens < 1:
            raise BadRequest(
                f"context_tokens is a number of tokens from 1, got {self.context_tokens}. "
                "To show no rewrite, set carry_context=false."
            )


class Rephrase:
    """Write the text of each requested rewrite.

    Reads REQUESTS, adds COMPLETIONS and fills `text` where a rewrite is asked for; whole documents and rejected rows
    pass untouched. All rows are with the engine at once, which limits itself; so may several tables be. A request that
    fails is rejected with the engine's word for it, or as `error` where nobody foresaw how. Row order is kept; no row is dropped.
    Raises EngineFailure where the engine cannot go on.
    Source: WRAP, arXiv:2401.16380, section 3; carried context: Kimi K2, arXiv:2507.20534.
    """

    def __init__(self, config: RephraseConfig, engine: Engine):
        self.config, self.engine = config, engine
        self.prompts = {prompt.name: prompt for prompt in map(load_prompt, config.styles)}
        if len(self.prompts) != len(config.styles):
            raise BadRequest(
                f"styles {', '.join(config.styles)}: two have the same name. Drop one, or rename its file."
            )
        self._sampling = {name: self._sampling_of(prompt) for name, prompt in self.prompts.items()}

    async def __call__(self, table: pa.Table) -> pa.Table:
        wanted = rewrites(table)
        rows = np.flatnonzero(wanted)
        columns = ("id", "style", "source_text", "chunk_index", "source_file", "position")
        requests = table.select(columns).take(rows).to_pylist()
        if self.config.carry_context:
            completions = await self._in_chains(requests)
        else:
            completions = await _all(self._complete(request) for request in requests)
        table = _with_completions(table, wanted, completions, self.engine.model)
        faults = {int(r): (c.error, c.detail) for r, c in zip(rows, completions, strict=True) if c.error}
        return reject(table, "rephrase", faults)

    async def _in_chains(self, requests: list[dict]) -> list[Completion]:
        """Complete the chunks of one document and style one after another, different ones side by side."""
        chains: dict[tuple, list[int]] = {}
        for index, request in enumerate(requests):
            chains.setdefault((request["source_file"], request["position"], request["style"]), []).append(index)
        completions: dict[int, Completion] = {}

        async def follow(chain: list[int]) -> None:
            before = None
            for index in sorted(chain, key=lambda index: requests[index]["chunk_index"]):
                completions[index] = await self._complete(requests[index], before)
                before = _end(completions[index], self.config.context_tokens)

        await _all(follow(chain) for chain in chains.values())
        return [completions[index] for index in range(len(requests))]

    async def _complete(self, row: dict, before: str | None = None) -> Completion:
        try:
            return await self.engine.complete(self._request(row, before))
        except (EngineFailure, BadRequest):
            raise
        except Exception as error:
            return unforeseen(error)

    def _request(self, row: dict, before: str | None) -> Request:
        prompt, config = self.prompts[row["style"]], self.config
        source, system, order = row["source_text"], config.system, config.prompt_order
        return Request(
            key=row["id"],
            messages=prompt.messages(source, system=system, order=order, context=before),
            stop=prompt.stop,
            seed=_seed(config.seed, row["id"]),
            kind=row["style"],
            **self._sampling[row["style"]],
        )

    def _sampling_of(self, prompt: Prompt) -> dict[str, float]:
        """Give what the config says, else what the prompt says."""
        said = {name: getattr(self.config, name) for name in SAMPLING}
        return {name: getattr(prompt, name) if value is None else value for name, value in said.items()}


async def _all(works: Iterable[Awaitable]) -> list:
    """Await all at once. When one raises, the others are stopped before it goes on."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _end(completion: Completion, tokens: int) -> str | None:
    """Give the last tokens of a completion: as many characters as they have on average, one where no count was told."""
    if not completion.text:
        return None
    characters = len(completion.text) * tokens // (completion.completion_tokens or len(completion.text))
    return completion.text[-characters:] if characters else None


def _seed(run: int, row_id: str) -> int:
    """Draw a row's seed, the same each time: 31 bits, which every engine takes."""
    return int.from_bytes(blake2b(f"{run}:{row_id}".encode(), digest_size=4).digest()) >> 1


def _with_completions(table: pa.Table, wanted: np.ndarray, completions: list[Completion], model: str) -> pa.Table:
    values = {name: [getattr(c, name) for c in completions] for name in COMPLETIONS.names if name != "model"}
    values["model"] = [model] * len(completions)
    columns = {field.name: spread(values[field.name], wanted, field.type) for field in COMPLETIONS}
    written = spread([c.text for c in completions], wanted, pa.large_string())
    return with_columns(table, text=pc.coalesce(written, table["text"]), **columns)
