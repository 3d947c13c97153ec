"""A pipeline as the command line knows it, free of what it imports."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.run.pipeline import Pipeline


@dataclass(frozen=True)
class Entry:
    """What a pipeline does in a line, where its job and its Pipeline are (MODULE:CLASS), and commands that show its use."""

    summary: str
    job: str
    pipeline: str
    examples: str = ""
    internal: bool = False  # a stage of another pipeline: no command runs it, and `status` knows its artifacts

    def job_class(self) -> type:
        return _loaded(self.job)

    def pipeline_class(self) -> type["Pipeline"]:
        return _loaded(self.pipeline)


def _loaded(address: str) -> type:
    """Import a class when it is asked for: the command line must answer before Ray and torch could be loaded."""
    module, _, name = address.partition(":")
    return getattr(import_module(module), name)
