"""The contract of what goes before a choice: the stages that make what a selector is handed."""

from collections.abc import Generator
from typing import Protocol, TypeVar

from pipelines.choose.inputs import SelectorInputs
from pipelines.choose.spec import SelectorSpec
from pipelines.choose.view import PoolView
from pipelines.pool.artifact import PoolArtifact
from pipelines.run.pipeline import Pipeline
from pipelines.select.job import SelectJob
from pipelines.select.measuring import Measuring

T = TypeVar("T")
Staged = Generator[
    Pipeline, None, T
]  # yields what is to be run, each before the next is asked for; returns what it made


class Preparation(Protocol):
    """What is made before one selector chooses. Made of the job, the selector that it names, and who measures columns.

    The table of selectors names the class where a selector has one of its own (pipelines/choose/selectors.py).
    """

    needs_target: bool  # whether target.path has to be given

    def __init__(self, job: SelectJob, spec: SelectorSpec, measuring: Measuring): ...

    def check(self) -> None:
        """Raise BadRequest where a setting is missing, before anything is spent."""

    def stages(self, pool: PoolArtifact, target: PoolArtifact | None) -> Staged[tuple[PoolView, SelectorInputs]]:
        """Yield the pipelines to be run; return the view of the pool and the inputs, which are there then.

        `target` is the target set where any selector of the job needs it.
        """
