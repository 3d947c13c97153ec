"""The stages of a selection: which artifacts a selector's choice stands on, in the order in which they are made."""

from collections.abc import Generator, Iterator
from dataclasses import asdict
from typing import TypeVar

from operators.errors import BadRequest
from operators.storage.filesystem import Place
from pipelines.choose.inputs import Given, Seen
from pipelines.choose.job import ChooseJob
from pipelines.choose.pipeline import ChooseRows
from pipelines.choose.selectors import SELECTORS
from pipelines.choose.spec import Named, named
from pipelines.measure.artifact import FeatureArtifact, open_feature
from pipelines.measure.feature import Feature
from pipelines.measure.job import MeasureJob
from pipelines.measure.pipeline import MeasureRows
from pipelines.pool.artifact import PoolArtifact, open_pool
from pipelines.pool.pipeline import ReadPool
from pipelines.run.pipeline import Pipeline
from pipelines.select.diverse_evol import Rounds
from pipelines.select.features import Features
from pipelines.select.job import SelectJob
from pipelines.select.less import LessStages
from pipelines.select.report import SHOWN

T = TypeVar("T")
Staged = Generator[Pipeline, None, T]  # yields what is to be run, and returns what can be opened then


class Stages:
    """The stages of a job, whose artifacts stand in `folder` and its rows at `output`. Raises BadRequest for missing settings.

    `pools` come first; then `choosing` gives the stages of one selector after the other, each made when those before it are
    there.
    """

    def __init__(self, job: SelectJob, selectors: list[Named], folder: str, output: Place):
        self.job, self.folder, self.output = job, folder, output
        reads = {one.label: self._reads(one) for one in selectors}
        self.features = Features(job, (column for columns in reads.values() for column in columns))
        planned = [feature for columns in reads.values() for feature in self.features.of(columns).values()]
        self.deciding = [feature.deciding for feature in planned]
        self.pool = ReadPool(job.pool(job.input), folder, output)
        self.target = self._target(selectors)
        self._measured_before: dict[str, FeatureArtifact] = {}

    def pools(self) -> Iterator[Pipeline]:
        """Read the pool, and the target where there is one."""
        yield self.pool
        if self.target:
            yield self.target

    def choosing(self, selector: Named) -> Staged[ChooseRows]:
        """Measure what a selector reads, of the pool and where it has a target of that, and let it choose; gives that stage."""
        pool, target = self.opened_pool(), self.opened_target()
        if selector.name == "less":
            seen, given = yield from self._gradients(selector, pool, target)
        elif selector.name == "diverse_evol":
            seen, given = yield from self._rounds(selector, pool)
        else:
            aim = (yield from self._measured(target, selector)) if selector.entry.target else None
            seen, given = (yield from self._measured(pool, selector)), Given(aim, self._by(selector))
        choosing = ChooseRows(self._choose_job(selector), selector, seen, given, self.folder)
        yield choosing
        return choosing

    def _gradients(
        self, selector: Named, pool: PoolArtifact, target: PoolArtifact | None
    ) -> Staged[tuple[Seen, Given]]:
        """Train the warm-up of LESS and measure gradients; gives what the selector sees, and its target and weights."""
        job = self.job
        limit = job.prompting.max_tokens
        where = (self.folder, job.storage, job.cluster, job.features.copies)
        stages = LessStages(selector.block, job.scorer, job.examples, limit, pool, target, *where)
        yield from stages.needs()
        counted = yield from self._measured(pool, selector)
        seen = Seen(pool, {**stages.seen.features, **counted.features})
        return seen, Given(stages.target_seen, plain={"weights": stages.weights})

    def _rounds(self, selector: Named, pool: PoolArtifact) -> Staged[tuple[Seen, Given]]:
        """Run the rounds of DiverseEvol; gives the pool and the positions that they chose."""
        job = self.job
        where = (self.folder, job.features.copies)
        rounds = Rounds(
            selector.block, self._choose_job(selector), pool, job.scorer, job.prompting, job.student, *where
        )
        yield from rounds.needs()
        seen = yield from self._measured(pool, selector)
        return seen, Given(plain={"positions": rounds.positions})

    def _measured(self, pool: PoolArtifact, selector: Named) -> Staged[Seen]:
        """Measure what a selector reads of a pool; gives the pool with that beside it."""
        artifacts = {}
        for name, feature in self.features.of(self._reads(selector)).items():
            measuring = self._measuring(feature, pool)
            if measuring.place.url not in self._measured_before:
                yield measuring
                self._measured_before[measuring.place.url] = open_feature(measuring.place)
            artifacts[name] = self._measured_before[measuring.place.url]
        return Seen(pool, artifacts)

    def shown(self) -> Seen:
        """Give the pool with what a report shows of it."""
        pool = self.opened_pool()
        shown = self.features.of(column for column in self.features.columns if column in SHOWN)
        return Seen(pool, {name: open_feature(self._measuring(feature, pool).place) for name, feature in shown.items()})

    def opened_pool(self) -> PoolArtifact:
        return open_pool(self.pool.place.url, self.job.storage, "input.path")

    def opened_target(self) -> PoolArtifact | None:
        return open_pool(self.target.place.url, self.job.storage, "target.path") if self.target else None

    def _measuring(self, feature: Feature, pool: PoolArtifact) -> MeasureRows:
        job = self.job
        where = MeasureJob(feature=feature.name, copies=job.features.copies, storage=job.storage, cluster=job.cluster)
        return MeasureRows(where, feature, pool, self.folder)

    def _reads(self, selector: Named) -> list[str]:
        """Name the columns that are read for a choice."""
        tokens = ["tokens"] if self.job.budget.tokens is not None else []
        return [*Given(by=self._by(selector)).reads(selector), *tokens]

    def _by(self, selector: Named) -> Named | None:
        """Give the selector by whose scores another one chooses."""
        by = getattr(selector.block, "by", None)
        return named(by, self.job) if by in SELECTORS else None

    def _target(self, selectors: list[Named]) -> ReadPool | None:
        asking = [one.name for one in selectors if needs_target(one)]
        if asking and self.job.target.path is None:
            raise BadRequest(f"{asking[0]} chooses rows like those of a target set, and target.path is not given.")
        return ReadPool(self.job.pool(self.job.target), self.folder, self.output) if asking else None

    def _choose_job(self, selector: Named) -> ChooseJob:
        job = self.job
        return ChooseJob(
            selector=selector.label,
            settings=asdict(selector.block),
            budget=job.budget,
            gumbel=job.gumbel,
            distinct=job.distinct,
            examples=job.examples,
            storage=job.storage,
            cluster=job.cluster,
        )


def needs_target(selector: Named) -> bool:
    """Whether a selector needs a target set: the comparison paper's LESS takes a sample of the pool."""
    return selector.entry.target and getattr(selector.block, "variant", "default") == "default"
