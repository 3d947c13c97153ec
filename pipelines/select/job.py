"""What `gristmill run select` can be told."""

from dataclasses import dataclass, field

from cluster.session import ClusterConfig
from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.examples.prompting import PromptingConfig
from operators.select.choices.base import ReportConfig
from operators.select.measure.base import ModelConfig
from operators.select.measure.complexity_quality import ComplexityQualityConfig
from operators.select.measure.lengths import LengthsConfig
from operators.select.measure.ngrams import NgramsConfig
from operators.select.measure.rating import RatingConfig
from operators.select.measure.sentence import SentenceConfig
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.clustered import ClusteredConfig
from operators.select.selectors.cross_entropy import CrossEntropyConfig
from operators.select.selectors.deita import DeitaConfig
from operators.select.selectors.dsir import DsirConfig
from operators.select.selectors.facility_location import FacilityLocationConfig
from operators.select.selectors.ifd import IfdConfig
from operators.select.selectors.k_center import KCenterConfig
from operators.select.selectors.length import LengthConfig
from operators.select.selectors.perplexity import PerplexityConfig
from operators.select.selectors.picking.ranking import GumbelConfig
from operators.select.selectors.random import RandomConfig
from operators.select.selectors.rds import RdsConfig
from operators.select.selectors.selectit import SelectItConfig
from operators.select.selectors.zip import ZipConfig
from operators.settings import setting
from operators.storage.base import InputConfig
from operators.storage.config import StorageConfig
from operators.storage.filesystem import Place
from pipelines.choose.selectors import SELECTORS
from pipelines.choose.spec import Named, named
from pipelines.flow.faults.config import FaultConfig
from pipelines.pool.job import PoolJob
from pipelines.run.output import Output
from pipelines.select.diverse_evol import DiverseEvolConfig
from pipelines.select.warmup import LessBlock
from pipelines.train.student import StudentConfig

EMBEDDINGS = ("sentence", "scorer")


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
class SelectJob:
    """Everything `gristmill run select` can be told."""

    input: InputConfig = field(default_factory=records)
    examples: ExampleConfig = field(default_factory=ExampleConfig)
    selectors: list[str] = setting(
        [], "who chooses: names, or NAME:KEY=VALUE for one whose block differs, side by side"
    )
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    distinct: bool = setting(False, "whether of rows with equal content only the earliest may be chosen")
    gumbel: GumbelConfig = field(default_factory=GumbelConfig)
    target: InputConfig = field(default_factory=records)
    prompting: PromptingConfig = field(default_factory=PromptingConfig)
    lengths: LengthsConfig = field(default_factory=LengthsConfig)
    scorer: ModelConfig = field(default_factory=ModelConfig)
    embedding: str = setting("sentence", "who embeds rows: sentence (a sentence encoder) or scorer (its hidden states)")
    sentence: SentenceConfig = field(default_factory=SentenceConfig)
    raters: list[str] = setting(
        [], "models that rate rows, for selectit; none: the scorer. Several for selectit.level=model"
    )
    rating: RatingConfig = field(default_factory=RatingConfig)
    complexity_quality: ComplexityQualityConfig = field(default_factory=ComplexityQualityConfig)
    ngrams: NgramsConfig = field(default_factory=NgramsConfig)
    random: RandomConfig = field(default_factory=RandomConfig)
    length: LengthConfig = field(default_factory=LengthConfig)
    cross_entropy: CrossEntropyConfig = field(default_factory=CrossEntropyConfig)
    perplexity: PerplexityConfig = field(default_factory=PerplexityConfig)
    ifd: IfdConfig = field(default_factory=IfdConfig)
    selectit: SelectItConfig = field(default_factory=SelectItConfig)
    less: LessBlock = field(default_factory=LessBlock)
    k_center: KCenterConfig = field(default_factory=KCenterConfig)
    diverse_evol: DiverseEvolConfig = field(default_factory=DiverseEvolConfig)
    facility_location: FacilityLocationConfig = field(default_factory=FacilityLocationConfig)
    zip: ZipConfig = field(default_factory=ZipConfig)
    clustered: ClusteredConfig = field(default_factory=ClusteredConfig)
    rds: RdsConfig = field(default_factory=RdsConfig)
    dsir: DsirConfig = field(default_factory=DsirConfig)
    deita: DeitaConfig = field(default_factory=DeitaConfig)
    student: StudentConfig = field(default_factory=StudentConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    output: Output = field(default_factory=Output)
    faults: FaultConfig = field(default_factory=FaultConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)

    def __post_init__(self):
        if self.embedding not in EMBEDDINGS:
            raise BadRequest(f"embedding is {self.embedding!r}. It may be {' or '.join(EMBEDDINGS)}.")

    def pool(self, input: InputConfig) -> PoolJob:
        """Give the job that reads the pool or the target."""
        return PoolJob(
            input=input, examples=self.examples, faults=self.faults, storage=self.storage, cluster=self.cluster
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


def selectors_of(job: SelectJob) -> list[Named]:
    """Read who chooses. Raises BadRequest where nobody does, one does twice, or no budget is given."""
    if not job.selectors:
        raise BadRequest(f"selectors is empty: who chooses? There are: {', '.join(SELECTORS)}.")
    if job.budget.tokens is None:
        Budget(job.budget)  # says so where none is given
    selectors = [named(text, job) for text in job.selectors]
    labels = [one.label for one in selectors]
    if twice := {label for label in labels if labels.count(label) > 1}:
        raise BadRequest(f"selectors names {', '.join(twice)} more than once. Name each once, or with other settings.")
    return selectors
