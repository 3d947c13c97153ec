"""What decides where a feature is measured."""

from dataclasses import dataclass, field

from cluster.session import ClusterConfig
from operators.settings import setting
from operators.storage.config import StorageConfig
from pipelines.run.output import Output


@dataclass
class MeasureJob:
    """Where a feature is measured, and of what."""

    feature: str = setting("", "name of the feature")
    pool: str | None = setting(None, "the pool", identity=False)
    copies: int | None = setting(
        None, "actors that hold a model; null: one per GPU, or per node without GPUs", identity=False
    )
    output: Output = field(default_factory=Output)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
