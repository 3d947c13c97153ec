"""What a training run can be told, and the plan that its workers are handed."""

from dataclasses import dataclass, field

from cluster.claims import Claims
from cluster.session import ClusterConfig
from operators.errors import BadRequest
from operators.learn.losses.config import LossConfig
from operators.learn.training.config import TrainingConfig
from operators.settings import setting
from operators.storage.config import StorageConfig
from pipelines.run.output import Output


@dataclass
class TrainData:
    path: str | None = setting(None, "packed rows: the folder that `gristmill run pack` made", identity=False)
    validation: str | None = setting(None, "packed rows to evaluate on; null: none", identity=False)
    validation_rows: int = setting(256, "rows of them that are evaluated on, at the most")

    def __post_init__(self):
        if self.validation_rows < 1:
            raise BadRequest(f"data.validation_rows is a number of rows from 1, got {self.validation_rows}.")


@dataclass
class ScoredData(TrainData):
    scores: str | None = setting(
        None, "scores of the packed rows: the folder that `gristmill run score` made", identity=False
    )


@dataclass
class CheckpointConfig:
    """When a run saves what it goes on from, when a model for others, and when it evaluates."""

    every_steps: int | None = setting(
        None,
        "steps after which the state is saved: what a death costs at most; null: a tenth of the run",
        identity=False,
    )
    model_every_steps: int | None = setting(
        None, "steps after which a model is saved for good, in Hugging Face format; null: a tenth of the run"
    )
    evaluate_every_steps: int | None = setting(
        None, "steps after which data.validation is evaluated; null: a tenth of the run"
    )

    moments: bool = setting(
        False, "with lora.rank: save adapters and Adam's running means beside each model, as LESS reads them"
    )

    def __post_init__(self):
        for name in ("every_steps", "model_every_steps", "evaluate_every_steps"):
            steps = getattr(self, name)
            if steps is not None and steps < 1:
                raise BadRequest(f"checkpoint.{name} is a number of steps from 1 or null, got {steps}.")


@dataclass
class WorkersConfig:
    count: int = setting(1, "workers of Ray Train: one per GPU, or processes on CPUs", identity=False)
    gpus: bool | None = setting(None, "whether each worker has a GPU; null: where the cluster has any", identity=False)
    cpus: int | None = setting(
        None, "CPUs of each worker; null: an even share of a node without GPUs, else 1", identity=False
    )

    def __post_init__(self):
        for name in ("count", "cpus"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BadRequest(f"workers.{name} is a number from 1, got {value}.")

    @property
    def claims(self) -> Claims:
        return Claims(self.count, self.gpus, self.cpus, together=True)


@dataclass
class ReferenceJob(TrainingConfig):
    """Everything `gristmill run reference` can be told."""

    data: TrainData = field(default_factory=TrainData)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    workers: WorkersConfig = field(default_factory=WorkersConfig)
    output: Output = field(default_factory=Output)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)

    def __post_init__(self):
        super().__post_init__()
        if self.checkpoint.moments and self.lora.rank is None:
            raise BadRequest("checkpoint.moments=true saves the moments of adapters. Give lora.rank too.")


@dataclass
class PretrainJob(ReferenceJob):
    """Everything `gristmill run pretrain` can be told."""

    data: ScoredData = field(default_factory=ScoredData)
    loss: LossConfig = field(default_factory=LossConfig)
