"""The stages of a selection, in the order in which they are made:

pool, target -> for each selector: what is made before its choice (prepare/) -> its choice
"""

from collections.abc import Iterator

from operators.errors import BadRequest
from operators.storage.place import Place
from pipelines.choose.pipeline import ChooseRows
from pipelines.choose.spec import SelectorSpec
from pipelines.choose.view import PoolView
from pipelines.pool.artifact import PoolArtifact, open_pool
from pipelines.pool.pipeline import ReadPool
from pipelines.run.pipeline import Pipeline
from pipelines.select.job import SelectJob
from pipelines.select.measuring import Measuring
from pipelines.select.prepare.base import Preparation, Staged
from pipelines.select.prepare.measured import PrepareMeasured


class Stages:
    """The stages of a job, whose artifacts stand in `folder` and its rows at `output`. Raises BadRequest for missing settings.

    `pools` come first; then `choosing` gives the stages of one selector after the other, each made when those before it are
    there.
    """

    def __init__(self, job: SelectJob, specs: list[SelectorSpec], folder: str, output: Place):
        self.job, self.folder, self.output = job, folder, output
        self.measuring = Measuring(job, specs, folder)
        self.preparations = {spec.label: self._preparation(spec) for spec in specs}
        self.pool = ReadPool(job.pool(job.input), folder, output)
        self.target = self._target(specs)
        for preparation in self.preparations.values():
            preparation.check()

    def pools(self) -> Iterator[Pipeline]:
        """Read the pool, and the target where there is one."""
        yield self.pool
        if self.target:
            yield self.target

    def choosing(self, spec: SelectorSpec) -> Staged[ChooseRows]:
        """Make what a selector is handed, and let it choose; gives that last stage."""
        preparation = self.preparations[spec.label]
        view, inputs = yield from preparation.stages(self.opened_pool(), self.opened_target())
        choosing = ChooseRows(self.job.choice(spec), spec, view, inputs, self.folder)
        yield choosing
        return choosing

    def shown(self, columns: tuple[str, ...]) -> PoolView:
        """Give the pool with those of some columns that a selector has read."""
        return self.measuring.view(self.opened_pool(), columns)

    def opened_pool(self) -> PoolArtifact:
        return open_pool(self.pool.place.url, self.job.storage, "input.path")

    def opened_target(self) -> PoolArtifact | None:
        return open_pool(self.target.place.url, self.job.storage, "target.path") if self.target else None

    def _preparation(self, spec: SelectorSpec) -> Preparation:
        return (spec.entry.preparation_class() or PrepareMeasured)(self.job, spec, self.measuring)

    def _target(self, specs: list[SelectorSpec]) -> ReadPool | None:
        asking = [spec.name for spec in specs if self.preparations[spec.label].needs_target]
        if asking and self.job.target.path is None:
            raise BadRequest(f"{asking[0]} chooses rows like those of a target set, and target.path is not given.")
        return ReadPool(self.job.pool(self.job.target), self.folder, self.output) if asking else None
