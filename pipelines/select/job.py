"""What `gristmill run select` can be told."""

from dataclasses import asdict, dataclass, field, make_dataclass

from cluster.session import ClusterConfig
from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.examples.prompting import PromptingConfig
from operators.select.choices.base import ReportConfig
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.picking.ranking import GumbelConfig
from operators.settings import setting
from operators.storage.config import InputConfig, StorageConfig
from operators.storage.place import Place
from operators.text.extract import ExtractConfig
from pipelines.choose.job import ChooseJob
from pipelines.choose.selectors import SELECTORS, selector_blocks
from pipelines.choose.spec import SelectorSpec, spec_of
from pipelines.flow.faults.config import FaultConfig
from pipelines.pool.job import PoolJob
from pipelines.run.output import Output
from pipelines.select.features.table import EMBEDDERS, feature_settings
from pipelines.train.student import StudentConfig


@dataclass
class FeaturesConfig:
    path: str | None = setting(
        None,
        "folder of the pool and what is measured of it, shared by runs; null: `features` beside output.path",
        identity=False,
    )
    copies: int | None = setting(
        None, "actors that hold a model; null: one per GPU, or per node without GPUs", identity=False
    )

    def __post_init__(self):
        if self.copies is not None and self.copies < 1:
            raise BadRequest(f"features.copies is a number of actors from 1 or null, got {self.copies}.")


def records() -> InputConfig:
    """Give the settings of an input that is read as whole records."""
    return InputConfig(text_column=None)


@dataclass
class ChoiceSettings:
    """What is chosen from, by whom, and how much."""

    input: InputConfig = field(default_factory=records)
    examples: ExampleConfig = field(default_factory=ExampleConfig)
    selectors: list[str] = setting(
        [], "who chooses: names, or NAME:KEY=VALUE for one whose block differs, side by side"
    )
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    distinct: bool = setting(False, "whether of rows with equal content only the earliest may be chosen")
    gumbel: GumbelConfig = field(default_factory=GumbelConfig)
    target: InputConfig = field(default_factory=records)
    extract: ExtractConfig = field(default_factory=ExtractConfig)
    prompting: PromptingConfig = field(default_factory=PromptingConfig)


# The settings of every feature and the block of every selector there is, each under its name.
SelectBlocks = make_dataclass(
    "SelectBlocks",
    [*feature_settings(), *selector_blocks()],
    bases=(ChoiceSettings,),
    namespace={"__module__": __name__},
)


@dataclass
class SelectJob(SelectBlocks):
    """Everything `gristmill run select` can be told."""

    student: StudentConfig = field(default_factory=StudentConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    output: Output = field(default_factory=Output)
    faults: FaultConfig = field(default_factory=FaultConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)

    def __post_init__(self):
        if self.embedding not in EMBEDDERS:
            raise BadRequest(f"embedding is {self.embedding!r}. It may be {' or '.join(EMBEDDERS)}.")

    def pool(self, input: InputConfig) -> PoolJob:
        """Give the job that reads the pool or the target."""
        return PoolJob(
            input=input,
            examples=self.examples,
            extract=self.extract,
            faults=self.faults,
            storage=self.storage,
            cluster=self.cluster,
        )

    def choice(self, spec: SelectorSpec) -> ChooseJob:
        """Give the job by which one selector chooses."""
        return ChooseJob(
            selector=spec.label,
            settings=asdict(spec.block),
            budget=self.budget,
            gumbel=self.gumbel,
            distinct=self.distinct,
            examples=self.examples,
            storage=self.storage,
            cluster=self.cluster,
        )


def features_folder(job: SelectJob, output: Place) -> str:
    """Give the folder that runs share. Raises BadRequest where none is named and the output is a whole bucket."""
    beside = output.url.rpartition("/")[0]
    if job.features.path is None and beside.endswith(":/"):
        raise BadRequest(
            f"output.path={output.url} is a whole bucket, and features stand beside the output. Give a folder of the bucket, or "
            "features.path."
        )
    return job.features.path or f"{beside}/features"


def specs_of(job: SelectJob) -> list[SelectorSpec]:
    """Read who chooses. Raises BadRequest where nobody does, one does twice, or no budget is given."""
    if not job.selectors:
        raise BadRequest(f"selectors is empty: who chooses? There are: {', '.join(SELECTORS)}.")
    if job.budget.tokens is None:
        Budget(job.budget)  # says so where none is given
    specs = [spec_of(text, job) for text in job.selectors]
    labels = [spec.label for spec in specs]
    if twice := {label for label in labels if labels.count(label) > 1}:
        raise BadRequest(f"selectors names {', '.join(twice)} more than once. Name each once, or with other settings.")
    return specs
