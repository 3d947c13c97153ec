"""The tasks of a pool: groups of splits become parts of examples, each group with one commit."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from operators.examples.base import ExampleConfig
from operators.examples.keep import STAGE, KeepExamples
from operators.storage.base import Split
from operators.table import living
from pipelines.counts import add_counts
from pipelines.flow.board.reporter import Reporter
from pipelines.flow.faults.bisect import TableWork
from pipelines.flow.faults.isolation import Isolation
from pipelines.flow.input.groups import Groups, kinds, rejections
from pipelines.ledger.artifacts import parts_in_order
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.proof.uniqueness import Ids, ids_of
from pipelines.ledger.publish import publish_file, publish_part, table_name
from pipelines.ledger.reading import read_records
from pipelines.ledger.records import Commit, Part
from pipelines.ledger.spans import WHOLE
from pipelines.pool.artifact import REPEATED, places_of
from pipelines.pool.job import PoolJob

PART_ROWS, PART_BYTES = 1024, 8 * 2**20  # of a part, the unit in which features are measured


class ReadGroups(Groups):
    """Read groups of splits, each into parts and one commit."""

    def __init__(self, *work, examples: ExampleConfig):
        super().__init__(*work)
        self.examples = examples

    def settle(self, name: str, group: list[dict]) -> None:
        gathered, parts, counts, keys = Gathered(), [], {}, {}
        for key, documents in self._documents(group):
            keys[key] = [WHOLE]
            told = kinds(documents, "carries") | kinds(documents, "unused")
            counts = add_counts(counts, rejections(documents) | told)
            parts += [self._published(rows) for rows in gathered.add(as_rows(documents))]
            parts += self.published_rejected(documents)
        parts += [self._published(rows) for rows in gathered.finish()]
        kept = sum(part.rows for part in parts if part.name.startswith("data/"))
        self.ledger.commit(f"{name}-0", Commit(parts, keys, add_counts(counts, {"kept": {"examples": kept}})))
        self.isolation.report.add({"settled": {"kept": kept}})

    def _documents(self, group: list[dict]) -> Iterator[tuple[str, pa.Table]]:
        """Give the records of the group's splits, those that are no examples rejected."""
        work = TableWork(STAGE, partial(KeepExamples, self.examples))
        for split, _, _, piece in self.pieces(group):
            yield split.key, self.isolation.run([work], f"{split.key}|{piece.begin}", piece.documents)

    def _published(self, rows: pa.Table) -> Part:
        return publish_part(self.ledger, table_name(self.ledger, "data", "parquet"), rows)


def as_rows(documents: pa.Table) -> pa.Table:
    """Give the documents that are examples, as rows of the pool. Their ids are their places: those of documents may repeat."""
    kept = documents.filter(pa.array(living(documents)))
    names = {
        "document_id": "document_id",
        "record": "text",
        "content": "content",
        "source_file": "source_file",
        "place": "position",
    }
    columns = {name: kept[column] for name, column in names.items()}
    return pa.table({"id": places_of(columns["source_file"], columns["place"])} | columns)


class Gathered:
    """Gathers rows, and gives them back in parts of one size, whatever the pieces were that they came in."""

    def __init__(self):
        self.tables: list[pa.Table] = []
        self.rows = self.bytes = 0

    def add(self, table: pa.Table) -> Iterator[pa.Table]:
        """Take rows; yields a part whenever there is one, cut after the row that fills it."""
        begin = 0
        for row, size in enumerate(pc.binary_length(table["record"]).to_pylist(), 1):
            self.rows, self.bytes = self.rows + 1, self.bytes + size
            if self.rows == PART_ROWS or self.bytes >= PART_BYTES:
                self.tables.append(table.slice(begin, row - begin))
                begin = row
                yield from self.finish()
        self.tables.append(table.slice(begin))

    def finish(self) -> Iterator[pa.Table]:
        """Yield what is left, if there is anything."""
        if self.rows:
            yield pa.concat_tables(self.tables)
        self.tables, self.rows, self.bytes = [], 0, 0


IDS = "ids:0-1"  # the last unit of work


def read_pool(job: PoolJob, work: list[list[Split]], ledger: Ledger, report: Reporter) -> None:
    """Stream records into the pool: read -> keep examples -> write."""
    import ray.data

    from cluster.resources import cpu_share

    rows = [{"group": json.dumps([asdict(split) for split in group])} for group in work]
    groups = ray.data.from_items(rows, override_num_blocks=min(len(rows), 4096))
    task = ReadGroups(
        job.input, job.storage, job.extract, ledger, Isolation(report, job.faults.deadline_s), examples=job.examples
    )
    groups.map_batches(task.__call__, batch_size=1, batch_format="pyarrow", num_cpus=cpu_share(1)).materialize()


def find_repeated_ids(ledger: Ledger) -> None:
    """Commit which ids of documents stand in several rows."""
    records = read_records(ledger.place)
    parts = parts_in_order(ledger.place, records)
    names, ids = [part.name for part in parts], Ids(sum(part.rows for part in parts), "document_id")
    for name in names:
        ids.take(ids_of(ledger.place.open(name), name, "document_id"))
    repeated = ids.suspects(ledger.place, names)
    kept = [publish_file(ledger, REPEATED, repeated.tobytes())] if len(repeated) else []
    ledger.commit("ids-0", Commit(kept, {IDS: [WHOLE]}, {"repeated": {"ids": len(repeated)}} if kept else {}))
