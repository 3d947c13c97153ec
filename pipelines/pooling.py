"""The tasks of a pool: groups of splits become parts of examples, each group with one commit."""

from collections.abc import Iterator
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from operators.examples import ExampleConfig
from operators.keep_examples import STAGE, KeepExamples
from operators.table import living
from pipelines.counts import add_counts
from pipelines.groups import Groups, rejections
from pipelines.ledger import publish_part, table_name
from pipelines.order import WHOLE
from pipelines.records import Commit, Part
from pipelines.sparing import TableWork

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
            counts = add_counts(counts, rejections(documents))
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
    """Give the documents that are examples, as rows of the pool."""
    kept = documents.filter(pa.array(living(documents)))
    names = {
        "id": "document_id",
        "record": "text",
        "content": "content",
        "source_file": "source_file",
        "place": "position",
    }
    return pa.table({name: kept[column] for name, column in names.items()})


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
