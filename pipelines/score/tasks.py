"""The tasks of `score`: packed rows -> scorer pool -> scores beside the tokens, each range of rows with one commit."""

from dataclasses import asdict, replace
from typing import NamedTuple

import pyarrow as pa

from cluster.claims import Claims
from operators.learn.score.base import NotFiniteScore, Server
from operators.storage.base import END
from operators.storage.config import StorageConfig
from pipelines.exits import StageFailure
from pipelines.flow.board.reporter import Reporter
from pipelines.flow.faults.isolation import Isolation
from pipelines.ledger.artifacts import load_table, shard_key
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.publish import publish_part, table_name
from pipelines.ledger.records import Commit, Part
from pipelines.ledger.spans import Span
from pipelines.pack.artifact import PackedArtifact
from pipelines.score.job import ScoreJob
from pipelines.stock.models import local_model, local_tokenizer

MOST_DEATHS = 3  # of processes that score the same rows


class RowRange(NamedTuple):
    """Rows [begin, end) of a shard, the unit of work."""

    shard: Part
    begin: int
    end: int

    @property
    def rows(self) -> int:
        return self.end - self.begin

    @property
    def span(self) -> Span:
        """Give the places of the shard that it settles: after its last row there is nothing more."""
        return (self.begin, 0), (END if self.end == self.shard.rows else self.end, 0)


def units(shard: Part, rows: int) -> list[RowRange]:
    """Cut a shard into units of so many rows."""
    return [RowRange(shard, begin, min(begin + rows, shard.rows)) for begin in range(0, shard.rows, rows)]


def score(
    packed: PackedArtifact,
    references: list,
    job: ScoreJob,
    claims: Claims,
    work: list[RowRange],
    ledger: Ledger,
    report: Reporter,
) -> None:
    """Stream rows through a pool of actors that hold the references, and commit what they say."""
    import ray.data

    rows = [{"shard": asdict(unit.shard), "begin": unit.begin, "end": unit.end} for unit in work]
    units = ray.data.from_items(rows, override_num_blocks=min(len(rows), 4096))
    units.map_batches(
        ScoreUnits,
        fn_constructor_args=(packed, references, job, ledger, Isolation(report, float("inf"))),
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=min(claims.count(), len(rows))),
        **claims.share(),
    ).materialize()


def _here(reference: str | Server, storage: StorageConfig) -> str | Server:
    """Give a reference with its model, or the tokenizer of its rows, on this machine."""
    if isinstance(reference, str):
        return local_model(reference, storage)
    return replace(reference, tokenizer=local_tokenizer(reference.tokenizer, storage))


class ScoreUnits:
    """Score units of work in an actor that holds the references."""

    def __init__(self, packed: PackedArtifact, references: list, job: ScoreJob, ledger: Ledger, isolation: Isolation):
        from operators.learn.score.scorer import Scorer

        self.packed, self.ledger, self.isolation = packed, ledger, isolation
        with isolation.report.explaining():
            self.scorer = Scorer(job.score, [_here(each, job.storage) for each in references])
            self.scorer.check(packed.packing)
        isolation.report.unused_gpu_noted()

    def __call__(self, rows: pa.Table) -> pa.Table:
        with self.isolation.report.explaining():
            for row in rows.to_pylist():
                self._score(RowRange(Part(**row["shard"]), row["begin"], row["end"]))
        return pa.table({"units": [len(rows)]})

    def _score(self, unit: RowRange) -> None:
        name = f"{unit.shard.checksum}-{unit.begin}"
        if self.ledger.holds(name):
            return
        if not self.ledger.current():
            raise self.ledger.lost()
        with self.isolation.noted(f"score|{name}") as deaths:
            if deaths >= MOST_DEATHS:
                raise StageFailure(
                    f"{deaths} processes died of scoring rows {unit.begin} to {unit.end} of {unit.shard.name}. If memory is "
                    "short, lower score.batch_tokens; the same command goes on."
                )
            try:
                scores = self.scorer(load_table(self.packed.place, unit.shard).slice(unit.begin, unit.rows))
            except NotFiniteScore as error:
                raise StageFailure(f"{error} What is scored so far is committed.") from error
        part = publish_part(self.ledger, table_name(self.ledger, "data", "arrow"), scores)
        counts = {"kept": {"scored": unit.rows}}
        self.ledger.commit(name, Commit([part], {shard_key(unit.shard): [unit.span]}, counts))
        self.isolation.report.add({"settled": {"kept": unit.rows}})
