"""Measure the columns that selectors read, each feature once."""

from collections.abc import Generator

from pipelines.choose.inputs import SelectorInputs
from pipelines.choose.selectors import SELECTORS
from pipelines.choose.spec import SelectorSpec, spec_of
from pipelines.choose.view import PoolView
from pipelines.measure.artifact import FeatureArtifact, open_feature
from pipelines.measure.feature import Feature
from pipelines.measure.job import MeasureJob
from pipelines.measure.pipeline import MeasureRows
from pipelines.pool.artifact import PoolArtifact
from pipelines.run.pipeline import Pipeline
from pipelines.select.features.planner import Features
from pipelines.select.job import SelectJob


class Measuring:
    """Measures what some selectors read; features stand in `folder`. Raises BadRequest where a setting is missing for that.

    `deciding` is what decides all features of the selectors, as plain values.
    """

    def __init__(self, job: SelectJob, specs: list[SelectorSpec], folder: str):
        self.job, self.folder = job, folder
        read = [self._reads(spec) for spec in specs]
        self.features = Features(job, (column for columns in read for column in columns))
        self.deciding = [feature.deciding for columns in read for feature in self.features.of(columns).values()]
        self._opened: dict[str, FeatureArtifact] = {}

    def of(self, pool: PoolArtifact, spec: SelectorSpec) -> Generator[Pipeline, None, PoolView]:
        """Measure what a selector reads of a pool; yields what is to be run, and returns the pool with that beside it."""
        artifacts = {}
        for name, feature in self.features.of(self._reads(spec)).items():
            measuring = self.stage(feature, pool)
            if measuring.place.url not in self._opened:
                yield measuring
                self._opened[measuring.place.url] = open_feature(measuring.place)
            artifacts[name] = self._opened[measuring.place.url]
        return PoolView(pool, artifacts)

    def view(self, pool: PoolArtifact, columns: tuple[str, ...]) -> PoolView:
        """Give a pool with those of some columns that a selector has read."""
        read = self.features.of(column for column in self.features.request.columns if column in columns)
        return PoolView(pool, {name: open_feature(self.stage(each, pool).place) for name, each in read.items()})

    def stage(self, feature: Feature, pool: PoolArtifact) -> MeasureRows:
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
