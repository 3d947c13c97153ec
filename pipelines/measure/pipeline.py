"""Measure the rows of a pool: pool -> operator -> a feature beside the rows.

A feature is an artifact of its own, named by what decides it, so whoever selects again finds it there. The unit of work is a
part of the pool; it is committed when it is measured, so nothing is measured twice.
"""

from pipelines.counts import Counts
from pipelines.flow.board.reporter import Reporter
from pipelines.ledger.artifacts import digest, shard_key
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.records import Part, State
from pipelines.measure.card import MeasureCard
from pipelines.measure.feature import Feature
from pipelines.measure.job import MeasureJob
from pipelines.measure.pace import MeasurePace
from pipelines.measure.tasks import measure
from pipelines.pool.artifact import PoolArtifact
from pipelines.run.output import output_place
from pipelines.run.pipeline import Pipeline
from pipelines.run.recipe import described


class MeasureRows(Pipeline):
    """The artifact stands in `folder`, named by what decides it."""

    card = MeasureCard()

    def __init__(self, job: MeasureJob, feature: Feature, pool: PoolArtifact, folder: str):
        self.job, self.feature, self.pool, self.cluster = job, feature, pool, job.cluster
        shards = {shard_key(part): [part.bytes, part.checksum] for part in pool.parts}
        self.claims = feature.claims(job.copies, len(pool.parts))
        self.recipe = described("measure", job, feature.deciding | {"pool": pool.key}, shards, list(shards))
        self.place = output_place(f"{folder}/{feature.name}-{digest(self.recipe)}", job.storage, "")

    def left(self, state: State) -> list[Part]:
        return [part for part in self.pool.parts if state.lacks(shard_key(part))]

    def of_all(self, work: list[Part]) -> Counts:
        return {"read": {"of_rows": sum(part.rows for part in work)}}

    def pace(self) -> MeasurePace:
        return MeasurePace(self.feature.name)

    def stream(self, work: list[Part], ledger: Ledger, report: Reporter) -> None:
        measure(self.feature, self.pool, self.claims, work, ledger, report)
