"""The stages of a selection:

pool, target -> for each selector: what is made before its choice (prepare/) -> its choice
"""

from collections.abc import Iterator

from cluster.claims import A_NODE
from operators.errors import BadRequest
from operators.select.selectors.base import Budget
from operators.storage.place import Place
from pipelines.choose.pipeline import ChooseRows
from pipelines.choose.spec import SelectorSpec
from pipelines.flow.input.examples import require_fields
from pipelines.pool.artifact import PoolArtifact
from pipelines.pool.pipeline import ReadPool
from pipelines.run.stage import Made, Stage
from pipelines.select.job import SelectJob
from pipelines.select.measuring import POOL, TARGET, Measuring
from pipelines.select.prepare.base import Preparation
from pipelines.select.prepare.measured import PrepareMeasured


class Stages:
    """The stages of a job, whose artifacts stand in `folder` and its rows at `output`. Raises BadRequest for missing settings."""

    def __init__(self, job: SelectJob, specs: list[SelectorSpec], folder: str, output: Place):
        self.job, self.specs, self.folder, self.output = job, specs, folder, output
        self.measuring = Measuring(job, specs, folder)
        self.preparations = {spec.label: self._preparation(spec) for spec in specs}
        self.pool = ReadPool(job.pool(job.input), folder, output)
        self.lacking = require_fields(self.pool.splits, job.input, job.storage, job.extract, self.measuring.fields)
        self.target = self._target()
        for preparation in self.preparations.values():
            preparation.check()

    def __iter__(self) -> Iterator[Stage]:
        yield Stage(POOL, "pool", self.pool.given, then=self._require_enough)
        if self.target:
            yield Stage(TARGET, "pool", self.target.given)
        for spec in self.specs:
            before = self.preparations[spec.label].stages()
            yield from before
            yield self._choosing(spec, tuple(self.preparations[spec.label].after))

    @property
    def warnings(self) -> list[str]:
        """Say what the user should know of the inputs."""
        return self.lacking + [line for pool in (self.pool, self.target) if pool for line in pool.warnings]

    def opened_target(self, made: Made) -> PoolArtifact | None:
        return self.measuring.pool(made, TARGET) if self.target else None

    def _choosing(self, spec: SelectorSpec, after: tuple[str, ...]) -> Stage:
        def build(made: Made) -> ChooseRows:
            view, inputs = self.preparations[spec.label].inputs(made)
            return ChooseRows(self.job.choice(spec), spec, view, inputs, self.folder)

        rows = self.job.budget.rows
        return Stage(choice_of(spec.label), "choose", build, after, A_NODE, "" if rows is None else f"{rows:,} rows")

    def _require_enough(self, made: Made) -> tuple[()]:
        """Raise BadRequest where the pool has fewer rows than the budget, before anything is measured."""
        if self.job.budget.tokens is None:
            Budget(self.job.budget).rows(self.measuring.pool(made).rows)
        return ()

    def _preparation(self, spec: SelectorSpec) -> Preparation:
        return (spec.entry.preparation_class() or PrepareMeasured)(self.job, spec, self.measuring)

    def _target(self) -> ReadPool | None:
        asking = [spec.name for spec in self.specs if self.preparations[spec.label].needs_target]
        if asking and self.job.target.path is None:
            raise BadRequest(f"{asking[0]} chooses rows like those of a target set, and target.path is not given.")
        return ReadPool(self.job.pool(self.job.target), self.folder, self.output) if asking else None


def choice_of(label: str) -> str:
    """Name the stage in which a selector chooses."""
    return f"choice {label}"
