"""What `gristmill run select` can be told."""

from dataclasses import dataclass, field

from cluster.session import ClusterConfig
from operators.choices.base import ReportConfig
from operators.errors import BadRequest
from operators.examples import ExampleConfig
from operators.measure.base import ModelConfig
from operators.measure.complexity_quality import ComplexityQualityConfig
from operators.measure.lengths import LengthsConfig
from operators.measure.ngrams import NgramsConfig
from operators.measure.rating import RatingConfig
from operators.measure.sentence import SentenceConfig
from operators.prompting import PromptingConfig
from operators.selectors.base import BudgetConfig
from operators.selectors.clustered import ClusteredConfig
from operators.selectors.cross_entropy import CrossEntropyConfig
from operators.selectors.deita import DeitaConfig
from operators.selectors.dsir import DsirConfig
from operators.selectors.facility_location import FacilityLocationConfig
from operators.selectors.ifd import IfdConfig
from operators.selectors.k_center import KCenterConfig
from operators.selectors.length import LengthConfig
from operators.selectors.perplexity import PerplexityConfig
from operators.selectors.random import RandomConfig
from operators.selectors.ranking import GumbelConfig
from operators.selectors.rds import RdsConfig
from operators.selectors.selectit import SelectItConfig
from operators.selectors.zip import ZipConfig
from operators.settings import setting
from operators.storage.base import InputConfig
from operators.storage.filesystem import StorageConfig
from pipelines.diverse_evol import DiverseEvolConfig
from pipelines.isolation import FaultConfig
from pipelines.less_job import LessBlock
from pipelines.pipeline import Output
from pipelines.pool import PoolJob
from pipelines.student import StudentConfig

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
