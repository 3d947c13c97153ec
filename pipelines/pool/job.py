"""What decides a pool."""

from dataclasses import dataclass, field

from cluster.session import ClusterConfig
from operators.examples.base import ExampleConfig
from operators.storage.config import InputConfig, StorageConfig
from operators.text.extract import ExtractConfig
from pipelines.flow.faults.config import FaultConfig
from pipelines.run.output import Output


@dataclass
class PoolJob:
    """What decides a pool."""

    input: InputConfig = field(default_factory=lambda: InputConfig(text_column=None))
    examples: ExampleConfig = field(default_factory=ExampleConfig)
    extract: ExtractConfig = field(default_factory=ExtractConfig)
    output: Output = field(default_factory=Output)
    faults: FaultConfig = field(default_factory=FaultConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
