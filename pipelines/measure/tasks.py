"""The tasks of `measure`: pool -> operator -> a feature beside the rows, each part with one commit."""

from collections import Counter
from dataclasses import asdict

import pyarrow as pa

from cluster.claims import Claims
from pipelines.exits import StageFailure
from pipelines.flow.board.reporter import Reporter
from pipelines.flow.faults.isolation import Isolation
from pipelines.ledger.artifacts import shard_key
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.publish import publish_part, table_name
from pipelines.ledger.records import Commit, Part
from pipelines.ledger.spans import WHOLE
from pipelines.measure.feature import Feature
from pipelines.pool.artifact import PoolArtifact

MOST_DEATHS = 3  # of processes that measure the same rows


def measure(
    feature: Feature, pool: PoolArtifact, claims: Claims, work: list[Part], ledger: Ledger, report: Reporter
) -> None:
    """Stream parts of the pool through actors that hold the operator, and commit what they give."""
    import ray.data

    from cluster.resources import cpus

    rows, share = [{"part": asdict(part)} for part in work], claims.share()
    units = ray.data.from_items(rows, override_num_blocks=min(len(rows), 4096))
    # Without a model of language each CPU that is free measures, whatever is claimed.
    copies = claims.count() if feature.has_model or "num_gpus" in share else max(1, int(cpus()))
    arguments = (feature, pool, ledger, Isolation(report, float("inf")))
    units.map_batches(
        MeasureParts,
        fn_constructor_args=arguments,
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=min(copies, len(rows))),
        **share,
    ).materialize()


class MeasureParts:
    """Measure parts of a pool in an actor that holds the operator."""

    def __init__(self, feature: Feature, pool: PoolArtifact, ledger: Ledger, isolation: Isolation):
        self.feature, self.pool, self.ledger, self.isolation = feature, pool, ledger, isolation
        with isolation.report.explaining():
            self.operator = feature.build(pool.place.storage)
        isolation.report.unused_gpu_noted()

    def __call__(self, rows: pa.Table) -> pa.Table:
        with self.isolation.report.explaining():
            for part in rows["part"].to_pylist():
                self._measure(Part(**part))
        return pa.table({"parts": [len(rows)]})

    def _measure(self, part: Part) -> None:
        number = int(part.checksum[:12], 16)
        if self.ledger.holds(f"part-{number}"):
            return
        if not self.ledger.current():
            raise self.ledger.lost()
        with self.isolation.noted(f"measure|{self.feature.name}|{part.name}") as deaths:
            if deaths >= MOST_DEATHS:
                raise StageFailure(
                    f"{deaths} processes died of measuring {self.feature.name} of {part.name}. If memory is short, lower "
                    "scorer.batch_tokens; the same command goes on."
                )
            measured = self.operator(self.pool.load(part))
        published = publish_part(self.ledger, table_name(self.ledger, "data", "arrow"), measured)
        unmeasured = Counter(measured["reason"].drop_null().to_pylist())
        counts = {"kept": {"rows": len(measured)}, "unmeasured": dict(unmeasured)}
        self.ledger.commit(f"part-{number}", Commit([published], {shard_key(part): [WHOLE]}, counts))
        self.isolation.report.add({"settled": {"kept": part.rows}})
