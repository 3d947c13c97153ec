"""Measure the columns that selectors read, each feature once."""

from collections.abc import Iterable

from operators.select.selectors.base import RECORD
from pipelines.choose.inputs import SelectorInputs
from pipelines.choose.selectors import SELECTORS
from pipelines.choose.spec import SelectorSpec, spec_of
from pipelines.choose.view import PoolView
from pipelines.measure.artifact import FeatureArtifact
from pipelines.measure.feature import Feature
from pipelines.measure.job import MeasureJob
from pipelines.measure.pipeline import MeasureRows
from pipelines.pool.artifact import PoolArtifact
from pipelines.run.stage import Made, Stage
from pipelines.select.features.planner import Features
from pipelines.select.job import SelectJob

POOL, TARGET = "pool", "target"  # the stages whose rows are measured
SETTINGS = {POOL: "input.path", TARGET: "target.path"}  # which name their input


def measured(name: str, of: str) -> str:
    """Name the stage that measures a feature of the rows of another stage."""
    return f"{name} of {of}"


class Measuring:
    """Measures what some selectors read; features stand in `folder`. Raises BadRequest where a setting is missing for that.

    `fields` are those of the records that selectors read, `deciding` is what decides all features of them, as plain values.
    """

    def __init__(self, job: SelectJob, specs: list[SelectorSpec], folder: str):
        self.job, self.folder = job, folder
        read = [self._reads(spec) for spec in specs]
        self.fields = {name.removeprefix(RECORD) for columns in read for name in columns if name.startswith(RECORD)}
        self.features = Features(job, (column for columns in read for column in columns))
        self.deciding = [feature.deciding for columns in read for feature in self.features.of(columns).values()]

    def stages(self, spec: SelectorSpec, of: str = POOL) -> list[Stage]:
        """Tell what is measured of a pool, the stage `of`, for a selector."""
        return [self.stage(name, feature, of) for name, feature in self.features.of(self._reads(spec)).items()]

    def stage(self, name: str, feature: Feature, of: str = POOL) -> Stage:
        """Tell that a feature is measured of a pool."""
        return Stage(
            measured(name, of),
            "measure",
            lambda made: self.pipeline(feature, self.pool(made, of)),
            after=(of,),
            claims=feature.claims(self.job.features.copies),
        )

    def view(self, made: Made, spec: SelectorSpec, of: str = POOL) -> PoolView:
        """Give a pool with all that a selector reads of it."""
        return PoolView(self.pool(made, of), self.measured(made, self.features.of(self._reads(spec)), of))

    def shown(self, made: Made, columns: tuple[str, ...]) -> PoolView:
        """Give the pool with those of some columns that a selector has read."""
        read = self.features.of(column for column in self.features.request.columns if column in columns)
        return PoolView(self.pool(made), self.measured(made, read))

    def measured(self, made: Made, names: Iterable[str], of: str = POOL) -> dict[str, FeatureArtifact]:
        """Open what was measured of a pool, by the names under which selectors look for it."""
        storage = self.job.storage
        return {name: FeatureArtifact.open(made[measured(name, of)], storage, name) for name in names}

    def pool(self, made: Made, of: str = POOL) -> PoolArtifact:
        return PoolArtifact.open(made[of], self.job.storage, SETTINGS.get(of, of))

    def pipeline(self, feature: Feature, pool: PoolArtifact) -> MeasureRows:
        """Give the pipeline that measures a feature of a pool."""
        job = self.job
        where = MeasureJob(feature=feature.name, copies=job.features.copies, storage=job.storage, cluster=job.cluster)
        return MeasureRows(where, feature, pool, self.folder)

    def _reads(self, spec: SelectorSpec) -> list[str]:
        """Name the columns that are read for a choice."""
        tokens = ["tokens"] if self.job.budget.tokens is not None else []
        return [*SelectorInputs(by=scored_by(spec, self.job)).reads(spec), *tokens]


def scored_by(spec: SelectorSpec, job: SelectJob) -> SelectorSpec | None:
    """Give the selector by whose scores another one chooses: one that asks for scores names it in its block."""
    return spec_of(spec.block.by, job) if "scores" in spec.asks and spec.block.by in SELECTORS else None
