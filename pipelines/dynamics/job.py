"""What `gristmill run dynamics` can be told."""

from dataclasses import dataclass, field

from cluster.session import ClusterConfig
from operators.learn.dynamics.classes import DynamicsConfig
from operators.learn.losses.config import LossConfig
from operators.learn.score.base import ScoreConfig
from operators.settings import setting
from operators.storage.config import StorageConfig
from pipelines.run.output import Output


@dataclass
class DynamicsData:
    path: str | None = setting(
        None, "packed validation rows: the folder that `gristmill run pack` made", identity=False
    )
    scores: str | None = setting(
        None, "scores of these rows under a reference: the page then shows the selection too", identity=False
    )


@dataclass
class DynamicsOutput(Output):
    samples: int = setting(8, "rows whose text the page shows")


@dataclass
class DynamicsJob(DynamicsConfig):
    """Everything `gristmill run dynamics` can be told."""

    checkpoints: list[str] = setting(
        [],
        "models in the order of their steps: folders, hub names, or an artifact of `pretrain` for all of its own",
    )
    data: DynamicsData = field(default_factory=DynamicsData)
    score: ScoreConfig = field(default_factory=lambda: ScoreConfig(saved="float32"))  # changes are small differences
    loss: LossConfig = field(default_factory=lambda: LossConfig(name="selective"))
    output: DynamicsOutput = field(default_factory=DynamicsOutput)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
