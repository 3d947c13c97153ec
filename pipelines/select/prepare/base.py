"""The contract of what goes before a choice: the stages that make what a selector is handed."""

from collections.abc import Iterable
from typing import Protocol

from pipelines.choose.inputs import SelectorInputs
from pipelines.choose.spec import SelectorSpec
from pipelines.choose.view import PoolView
from pipelines.run.stage import Made, Stage
from pipelines.select.job import SelectJob
from pipelines.select.measuring import Measuring


class Preparation(Protocol):
    """What is made before one selector chooses. Made of the job, the selector that it names, and who measures columns.

    The table of selectors names the class where a selector has one of its own (pipelines/choose/selectors.py). `needs_target`
    says whether target.path has to be given; then there is a stage TARGET beside POOL (pipelines/select/measuring.py).
    """

    needs_target: bool

    def __init__(self, job: SelectJob, spec: SelectorSpec, measuring: Measuring): ...

    def check(self) -> None:
        """Raise BadRequest where a setting is missing, before anything is spent."""

    def stages(self) -> Iterable[Stage]:
        """Tell what is made after POOL and TARGET. Names are the selector's own where nobody else shares what is made."""

    @property
    def after(self) -> Iterable[str]:
        """Name the stages that the choice waits for."""

    def inputs(self, made: Made) -> tuple[PoolView, SelectorInputs]:
        """Give the view of the pool and the inputs; all of `after` is there."""
