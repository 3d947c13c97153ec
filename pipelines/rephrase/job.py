"""What `gristmill run rephrase` can be told."""

from dataclasses import dataclass, field

from cluster.session import ClusterConfig
from operators.models.engines import EngineConfig
from operators.rewrite.clean import CleanConfig
from operators.rewrite.faithful import FaithfulConfig
from operators.rewrite.mix import MixConfig
from operators.rewrite.rephrase import RephraseConfig
from operators.settings import setting
from operators.storage.config import InputConfig, StorageConfig
from operators.text.chunk import ChunkConfig
from operators.text.extract import ExtractConfig
from pipelines.flow.faults.config import AnswerFaults, CommitConfig
from pipelines.run.output import Output


@dataclass
class RephraseOutput(Output):
    rows_per_part: int = setting(
        1024, "rows of a part, at the most about; commit.max_uncommitted_requests may make it less", identity=False
    )


@dataclass
class RephraseJob(RephraseConfig):
    """Everything `gristmill run rephrase` can be told."""

    stitch: bool = setting(False, "join the rewrites of a document's chunks into one row per style")
    input: InputConfig = field(default_factory=InputConfig)
    extract: ExtractConfig = field(default_factory=ExtractConfig)
    chunk: ChunkConfig = field(default_factory=ChunkConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    clean: CleanConfig = field(default_factory=CleanConfig)
    faithful: FaithfulConfig = field(default_factory=FaithfulConfig)
    mix: MixConfig = field(default_factory=MixConfig)
    output: RephraseOutput = field(default_factory=RephraseOutput)
    commit: CommitConfig = field(default_factory=CommitConfig)
    faults: AnswerFaults = field(default_factory=AnswerFaults)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)

    @property
    def whole_documents(self) -> bool:
        """Whether all chunks of a document must be with the same engine."""
        return self.stitch or self.carry_context

    @property
    def in_stretches(self) -> bool:
        """Whether a document may be committed part by part, though it is with one engine."""
        return self.carry_context and not self.stitch

    @property
    def orders_per_part(self) -> int:
        """Orders that are committed together."""
        if self.stitch:  # of any size
            return 1
        return self.commit.orders_per_part(self.output.rows_per_part, len(self.styles))


# The settings that decide where the units of work begin and end.
CUTS = ("input.", "chunk.", "stitch", "carry_context", "mix.real")
