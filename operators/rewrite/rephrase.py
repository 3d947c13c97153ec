"""Rephrase: let a model rewrite each chunk in its style."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from operators.errors import BadRequest
from operators.models.chains import Ask, Chains
from operators.models.engines.base import Engine
from operators.rewrite.prompts import Prompt, load_prompt
from operators.settings import setting
from operators.table import REQUESTS, rewrites
from operators.text.tokenizer import approximate_tokenizer

SAMPLING = ("temperature", "top_p", "max_tokens")
LONGEST_TOKEN = 16  # characters, of white space perhaps more


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


class Rephrase(Chains):
    """Write the text of each requested rewrite.

    Reads REQUESTS and fills `text` where a rewrite is asked for; whole documents and rejected rows pass untouched. With
    `carry_context` the rewrites of a document and style are a chain, and each chunk is shown the end of the rewrite before it, as
    `mended` makes it of that row (for what a later operator will make of its text).
    Source: WRAP, arXiv:2401.16380, section 3; carried context: Kimi K2, arXiv:2507.20534.
    """

    stage, kind = "rephrase", "style"
    reads = ("style", "source_text", "source_tokens", "source_file", "position")
    adds = pa.schema([REQUESTS.field("text")])

    def __init__(
        self, config: RephraseConfig, engine: Engine, mended: Callable[[dict], str] = lambda row: row["text"] or ""
    ):
        super().__init__(engine, config.seed)
        self.config, self.mended = config, mended
        self.prompts = {prompt.name: prompt for prompt in map(load_prompt, config.styles)}
        if len(self.prompts) != len(config.styles):
            raise BadRequest(
                f"styles {', '.join(config.styles)}: two have the same name. Drop one, or rename its file."
            )
        self._sampling = {name: self._sampling_of(prompt) for name, prompt in self.prompts.items()}

    @classmethod
    def asked(cls, table: pa.Table) -> np.ndarray:
        return rewrites(table)

    def chain_of(self, row: dict[str, Any]) -> tuple | None:
        return (row["source_file"], row["position"], row["style"]) if self.config.carry_context else None

    def passed_on(self, row: dict[str, Any]) -> str | None:
        return end_of(self.mended(row), self.config.context_tokens) if row["text"] else None

    async def answer(self, row: dict[str, Any], ask: Ask) -> dict[str, Any]:
        prompt, config = self.prompts[row["style"]], self.config
        messages = prompt.messages(
            row["source_text"], system=config.system, order=config.prompt_order, context=row["carried"]
        )
        completion = await ask(messages, stop=prompt.stop, **self._sampling[row["style"]])
        return {"text": completion.text}

    def _sampling_of(self, prompt: Prompt) -> dict[str, float]:
        """Give what the config says, else what the prompt says."""
        said = {name: getattr(self.config, name) for name in SAMPLING}
        return {name: getattr(prompt, name) if value is None else value for name, value in said.items()}


def end_of(text: str | None, tokens: int) -> str | None:
    """Give the end of a text, of about so many tokens; null where there is none."""
    pieces = _approximate().encode(text[-tokens * LONGEST_TOKEN :], add_special_tokens=False).offsets if text else []
    return text[-tokens * LONGEST_TOKEN :][pieces[-tokens:][0][0] :].strip() or None if pieces else None


@cache
def _approximate() -> Tokenizer:
    return approximate_tokenizer()
