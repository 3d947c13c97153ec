"""Groups of splits as units of work: small files are read together, and each group is settled by one commit."""

import json
from abc import ABC, abstractmethod
from collections import Counter
from hashlib import blake2b

import pyarrow as pa
import pyarrow.compute as pc

from operators.storage.base import Split
from operators.storage.config import InputConfig, StorageConfig
from operators.table import with_columns
from operators.text.extract import ExtractConfig
from pipelines.counts import Counts
from pipelines.flow.faults.isolation import Isolation
from pipelines.flow.input.files import bytes_of
from pipelines.flow.input.pieces import Pieces
from pipelines.flow.orders.rows import REJECTED, in_form
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.publish import publish_part, table_name
from pipelines.ledger.records import Part

GROUP_BYTES = 16 * 2**20  # of input files that are worked on together, about
PIECE_BYTES = 4 * 2**20  # of text that is worked on at once


def grouped(splits: list[Split], limit: int | None) -> list[list[Split]]:
    """Group consecutive splits that are worked on together; with a limit all are, because they are counted in order."""
    groups: list[list[Split]] = []
    for split in splits:
        if groups and (limit is not None or bytes_of(groups[-1]) + split.end - split.begin <= GROUP_BYTES):
            groups[-1].append(split)
        else:
            groups.append([split])
    return groups


class Groups(ABC):
    """A task of Ray Data that settles groups of splits."""

    def __init__(
        self, input: InputConfig, storage: StorageConfig, extract: ExtractConfig, ledger: Ledger, isolation: Isolation
    ):
        self.input, self.storage, self.extract, self.ledger, self.isolation = input, storage, extract, ledger, isolation

    def __call__(self, rows: pa.Table) -> pa.Table:
        with self.isolation.report.explaining():
            for group in map(json.loads, rows["group"].to_pylist()):
                name = group_name(group)
                if self.ledger.holds(f"{name}-0"):
                    continue
                if not self.ledger.current():
                    raise self.ledger.lost()
                self.settle(name, group)
        return pa.table({"groups": [len(rows)]})

    @abstractmethod
    def settle(self, name: str, group: list[dict]) -> None:
        """Do a group's work, and commit it as NAME-0."""

    def pieces(self, group: list[dict]):
        """Read the group's splits piece by piece, see Pieces.of."""
        pieces = Pieces(self.input, self.storage, self.extract, PIECE_BYTES, self.isolation)
        return pieces.of({"split": split, "done": [], "redo": []} for split in group)

    def published_rejected(self, documents: pa.Table) -> list[Part]:
        """Publish the documents that left, if there are any."""
        left = rejected(documents)
        return [publish_part(self.ledger, table_name(self.ledger, "rejected", "parquet"), left)] if len(left) else []


def group_name(group: list[dict]) -> str:
    """Name a group by its splits."""
    places = [[split["file"]["name"], split["begin"], split["end"]] for split in group]
    return blake2b(json.dumps(places).encode(), digest_size=8).hexdigest()


def rejected(documents: pa.Table) -> pa.Table:
    """Give the documents that left, as rows of rejected/."""
    left = documents.filter(pc.is_valid(documents["reason"]))
    places = zip(left["source_file"].to_pylist(), left["position"].to_pylist(), strict=True)
    ids = pa.array([f"{file}:{position}" for file, position in places], pa.string())
    return in_form(with_columns(left, id=ids), REJECTED)


def rejections(documents: pa.Table) -> Counts:
    """Count the documents that left, by stage and reason."""
    reasons = Counter(zip(*(documents[name].drop_null().to_pylist() for name in ("stage", "reason")), strict=True))
    told = {f"{stage}/{reason}": number for (stage, reason), number in reasons.items()}
    return {"rejected": {"document": told} if told else {}}


def kinds(documents: pa.Table, column: str) -> Counts:
    """Count the documents that a column has each of its words for; nothing where there is no such word, or no such column."""
    if column not in documents.column_names:
        return {}
    words = Counter(pc.list_flatten(documents[column]).to_pylist())
    return {column: dict(words)} if words else {}
