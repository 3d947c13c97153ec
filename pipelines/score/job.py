"""What `gristmill run score` can be told."""

from dataclasses import dataclass, field

from cluster.session import ClusterConfig
from operators.errors import BadRequest
from operators.learn.score.base import BLOCK, ScoreConfig
from operators.models.engines.openai.engine import OpenAIConfig, OpenAIEngine
from operators.settings import setting
from operators.storage.config import StorageConfig
from pipelines.run.output import Output


@dataclass
class DataConfig:
    path: str | None = setting(None, "packed rows: the folder that `gristmill run pack` made", identity=False)


@dataclass
class ReferenceConfig:
    """Who scores: models in the pipeline's own actors, or one behind an endpoint."""

    models: list[str] = setting(
        [], "reference models: folders in Hugging Face format, hub names, or artifacts of `reference` and `pretrain`"
    )
    openai: OpenAIConfig | None = setting(None, "a server that gives log-probabilities of prompts; for small sets")
    tokenizer: str | None = setting(None, "with openai: the tokenizer of the rows, as for pack.tokenizer")
    copies: int | None = setting(
        None, "actors that score, each with all references; null: one per GPU, or per node without GPUs", identity=False
    )

    def __post_init__(self):
        if self.copies is not None and self.copies < 1:
            raise BadRequest(f"reference.copies is a number of actors from 1 or null, got {self.copies}.")


@dataclass
class ScoreOutput(Output):
    tokens_per_part: int = setting(2**20, "tokens of a part, about: what is scored again if its actor dies")

    def __post_init__(self):
        if self.tokens_per_part < 1:
            raise BadRequest(f"output.tokens_per_part is a number of tokens from 1, got {self.tokens_per_part}.")


@dataclass
class ScoreJob:
    """Everything `gristmill run score` can be told."""

    data: DataConfig = field(default_factory=DataConfig)
    reference: ReferenceConfig = field(default_factory=ReferenceConfig)
    score: ScoreConfig = field(default_factory=ScoreConfig)
    output: ScoreOutput = field(default_factory=ScoreOutput)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)


def require_reference(reference: ReferenceConfig) -> None:
    """Raise BadRequest unless it is said who scores."""
    if bool(reference.models) == bool(reference.openai):
        raise BadRequest(
            "give either reference.models (folders, hub names, artifacts of `reference`) or reference.openai (an endpoint)."
        )
    if reference.openai and not reference.tokenizer:
        raise BadRequest(
            "reference.tokenizer is not given: the endpoint is sent tokens, so name the tokenizer they are of."
        )
    if reference.openai:
        OpenAIEngine(reference.openai, BLOCK)  # refuses settings that cannot work
