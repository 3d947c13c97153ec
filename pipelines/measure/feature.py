"""A feature as it is planned: what measures it, with which settings and models."""

from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from cluster.claims import A_CPU, Claims, a_model_each
from operators.models.device import may_use_gpu
from operators.storage.config import StorageConfig
from pipelines.settings import identity
from pipelines.stock.models import local_model, local_tokenizer

MEASURES = "operators.select.measure"
MODELS = ("path", "quality_model")  # fields of settings that name a model


@dataclass(frozen=True)
class Feature:
    """What is measured, and by whom. `operator` is MODULE:CLASS in MEASURES; it is made of `blocks`, its settings, in a worker.

    A block with one of the fields MODELS names a model. Its operator gets a GPU where there is one, as that of a block with a
    `device` does; one that says cpu does not. What changes with the models and tokenizers that are named stands in `contents`.
    """

    name: str
    operator: str
    blocks: tuple[Any, ...]
    contents: dict[str, Any] = field(default_factory=dict)

    @property
    def has_model(self) -> bool:
        return any(_models_of(block) for block in self.blocks)

    @property
    def may_use_gpu(self) -> bool:
        """Whether the operator would run on a GPU."""
        return any(may_use_gpu(block.device) for block in self.blocks if hasattr(block, "device"))

    def claims(self, copies: int | None, parts: int | None = None) -> Claims:
        """Say what measuring it takes: a model of language a GPU or a share of a node for each copy, which measures a part at a
        time; what has none a GPU where there is one, else the CPUs that are free, one at the least.
        """
        if not self.has_model and not self.may_use_gpu:
            return A_CPU
        claims = a_model_each(copies, self.may_use_gpu, most=parts)
        return claims if self.has_model else replace(claims, cpus=1)

    @property
    def deciding(self) -> dict[str, Any]:
        """Give all that decides what comes out, as plain values."""
        blocks = {type(block).__name__: identity(block) for block in self.blocks}
        # Artifacts know an operator by this name, wherever its file stands.
        return {"operator": f"operators.measure.{self.operator}", "settings": blocks, "contents": self.contents}

    def build(self, storage: StorageConfig) -> Any:
        """Make the operator, its models and tokenizers on this machine."""
        module, _, name = self.operator.partition(":")
        blocks = [_all_here(block, storage) for block in self.blocks]
        return getattr(import_module(f"{MEASURES}.{module}"), name)(*blocks)


def _models_of(block: Any) -> dict[str, str]:
    return {name: model for name in MODELS if (model := getattr(block, name, None))}


def _all_here(block: Any, storage: StorageConfig) -> Any:
    here = {name: local_model(model, storage) for name, model in _models_of(block).items()}
    if tokenizer := getattr(block, "tokenizer", None):
        here["tokenizer"] = local_tokenizer(tokenizer, storage)
    return replace(block, **here) if here else block
