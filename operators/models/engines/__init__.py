"""Engines: what completes requests, and how one is chosen by the block of config that is filled.

base.py         the contract of an engine
chat.py         chat messages as the tokens of a prompt
context.py      what is known of a model before anything heavy is imported
endings.py      the words for how an answer ended
openai/         any server that speaks OpenAI's protocol
transformers/   plain transformers
vllm/           vLLM in this process
"""

from dataclasses import dataclass
from typing import Any

from operators.errors import BadRequest
from operators.models.engines.base import Engine
from operators.models.engines.openai.engine import OpenAIConfig
from operators.models.engines.transformers.engine import TransformersConfig
from operators.models.engines.vllm.arguments import PLACEMENT
from operators.settings import setting

BLOCKS = ("vllm", "openai", "transformers")


@dataclass
class EngineConfig:
    """Exactly one block is filled; it names the engine."""

    vllm: dict[str, Any] | None = setting(
        None, "vLLM inside the pipeline: all of its engine arguments, at least `model`", placement=PLACEMENT
    )
    openai: OpenAIConfig | None = setting(None, "any server that speaks OpenAI's protocol")
    transformers: TransformersConfig | None = setting(None, "transformers inside the pipeline, where vLLM cannot run")
    copies: int = setting(1, "engine copies", identity=False)
    max_copies: int | None = setting(
        None, "engine copies to which the run may grow; null: it stays at `copies`", identity=False
    )

    def __post_init__(self):
        if self.copies < 1:
            raise BadRequest(f"engine.copies is a number of engines from 1, got {self.copies}.")
        if self.max_copies is not None and self.max_copies < self.copies:
            raise BadRequest(
                f"engine.max_copies is {self.max_copies}, fewer than engine.copies={self.copies}. "
                "Raise it, or set it to null: the run stays at engine.copies."
            )


def chosen(config: EngineConfig) -> str:
    """Name the engine whose block is filled. Raises BadRequest if that is not exactly one."""
    filled = [name for name in BLOCKS if getattr(config, name) is not None]
    if len(filled) != 1:
        given = " and ".join(f"engine.{name}" for name in filled) or "no engine block"
        raise BadRequest(
            f"{given} given; fill exactly one of {', '.join(f'engine.{name}' for name in BLOCKS)} "
            "(for example engine.vllm.model=Qwen/Qwen2.5-0.5B-Instruct) and set the others to null."
        )
    return filled[0]


def build_engine(config: EngineConfig) -> Engine:
    """Make the chosen engine, not started. Only its own library is imported, and only when it starts."""
    name = chosen(config)
    if name == "openai":
        from operators.models.engines.openai.engine import OpenAIEngine

        return OpenAIEngine(config.openai)
    if name == "vllm":
        from operators.models.engines.vllm.engine import VllmEngine

        return VllmEngine(config.vllm)
    from operators.models.engines.transformers.engine import TransformersEngine

    return TransformersEngine(config.transformers)
