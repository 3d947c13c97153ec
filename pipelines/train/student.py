"""A student: a language model that is fine-tuned on chosen rows, by the trainer of this project.

chosen rows -> packed rows -> training
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields

from cluster.session import ClusterConfig
from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.learn.training.config import OptimizerConfig, ScheduleConfig, TrainingConfig
from operators.models.engines.context import model_facts
from operators.settings import setting
from operators.storage.config import InputConfig, StorageConfig
from operators.text.tokenizer import load_tokenizer
from operators.tokens.pack import PackConfig
from pipelines.ledger.artifacts import Reference
from pipelines.pack.artifact import PackedArtifact
from pipelines.pack.job import PackJob
from pipelines.pack.pipeline import PackDocuments
from pipelines.run.output import Output
from pipelines.run.stage import Made, Stage
from pipelines.stock.models import address_of, local_model, local_tokenizer
from pipelines.train.job import CheckpointConfig, ReferenceJob, TrainData, WorkersConfig
from pipelines.train.pipeline import Train


@dataclass
class StudentConfig(TrainingConfig):
    """How students are trained. Defaults: arXiv:2410.09335, section 4."""

    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(lr=7e-6, betas=[0.9, 0.999]))
    schedule: ScheduleConfig = field(default_factory=lambda: ScheduleConfig(min_lr_share=0.0))
    tokenizer: str | None = setting(None, "tokenizer of a student with random weights; null: that of model.path")
    window: int = setting(4096, "tokens of a packed row; several examples stand in one")
    workers: WorkersConfig = field(default_factory=WorkersConfig)


def require_student(config: StudentConfig, storage: StorageConfig) -> None:
    """Raise BadRequest where something is missing that a student is trained by: a model, a tokenizer, room, how long."""
    if config.model.path:
        load_tokenizer(local_tokenizer(tokenizer_of(config, storage), storage))
        context = model_facts(local_model(address_of(config.model.path, storage), storage)).context_tokens
        if context is not None and context < config.window:
            raise BadRequest(
                f"student.window={config.window} and {config.model.path} reads {context} tokens at most. Give "
                f"student.window={context}, or another model."
            )
    elif not config.tokenizer:
        _require_sizes(config)
        raise BadRequest("student.tokenizer is not given: a student with random weights has none of its own.")
    config.total_steps(rows=1, window=config.window)


def _require_sizes(config: StudentConfig) -> None:
    try:
        config.model.shape()
    except BadRequest as error:
        raise BadRequest(f"student: {error} Here these settings begin with student., as student.model.path.") from error


def tokenizer_of(config: StudentConfig, storage: StorageConfig) -> str:
    """Give the address of the tokenizer that a student's rows are packed with."""
    return address_of(config.tokenizer or config.model.path, storage)


@dataclass(frozen=True)
class Student:
    """What has to be run for one student, in `folder`: `packed`, then `training`; then `model` is its address.

    `rows` are the folders of the chosen rows that it is trained on.
    """

    config: StudentConfig
    rows: tuple[str, ...]
    examples: ExampleConfig
    template: str
    folder: str
    storage: StorageConfig
    cluster: ClusterConfig

    @property
    def model(self) -> str:
        return f"{self.folder}/model"

    @property
    def packed(self) -> PackDocuments:
        """Pack the rows; their columns have the usual names."""
        tokenizer = tokenizer_of(self.config, self.storage)
        pack = PackConfig(tokenizer=tokenizer, window=self.config.window, template=self.template)
        rows = InputConfig(path=list(self.rows), text_column=None)
        job = PackJob(
            input=rows,
            pack=pack,
            examples=ExampleConfig(turns=self.examples.turns),
            output=Output(f"{self.folder}/packed"),
            storage=self.storage,
            cluster=self.cluster,
        )
        return PackDocuments(job)

    def training(self, packed: Reference) -> Train:
        """Train on the packed rows. Of all models only the last is saved."""
        settings = {field.name: getattr(self.config, field.name) for field in fields(TrainingConfig)}
        data = TrainData(packed.url)
        rows = PackedArtifact.open(packed, self.storage, "student").rows
        job = ReferenceJob(
            **settings,
            data=data,
            checkpoint=CheckpointConfig(model_every_steps=self.config.total_steps(rows, self.config.window)),
            workers=self.config.workers,
            output=Output(self.model),
            storage=self.storage,
            cluster=self.cluster,
        )
        return Train(job)


def student_stages(
    name: str, student: Callable[[Made], Student], after: tuple[str, ...], config: StudentConfig
) -> Iterator[Stage]:
    """Tell the two stages of a student; the second has the name."""
    packed = f"{name}: rows"
    yield Stage(packed, "pack", lambda made: student(made).packed, after)
    yield Stage(
        name,
        "reference",
        lambda made: student(made).training(made[packed]),
        (*after, packed),
        config.workers.claims,
        config.how_long,
    )
