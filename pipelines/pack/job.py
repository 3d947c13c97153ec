"""What `gristmill run pack` can be told."""

from dataclasses import dataclass, field

from cluster.session import ClusterConfig
from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.storage.config import InputConfig, StorageConfig
from operators.text.extract import ExtractConfig
from operators.tokens.pack import PackConfig
from pipelines.flow.faults.config import FaultConfig
from pipelines.run.output import Output


@dataclass
class PackJob:
    """Everything `gristmill run pack` can be told."""

    input: InputConfig = field(default_factory=InputConfig)
    pack: PackConfig = field(default_factory=PackConfig)
    examples: ExampleConfig = field(default_factory=ExampleConfig)
    extract: ExtractConfig = field(default_factory=ExtractConfig)
    output: Output = field(default_factory=Output)
    faults: FaultConfig = field(default_factory=FaultConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)


def require_form(job: PackJob) -> None:
    """Raise BadRequest where records are to be read as texts, or texts as records."""
    template, column = job.pack.template, job.input.text_column
    if template and column is not None:
        raise BadRequest(
            f"pack.template={template} frames whole records, and input.text_column={column} reads a column of them. "
            "Set input.text_column=null; `examples` says which columns are question and answer."
        )
    if column is None and not template:
        raise BadRequest("input.text_column=null reads whole records. Set pack.template to frame them as examples.")
