"""A finished pool, as later stages open it."""

from dataclasses import astuple, dataclass
from functools import lru_cache
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.errors import BadRequest
from operators.storage.config import StorageConfig
from operators.storage.place import Place
from operators.table import with_columns
from pipelines.ledger.artifacts import Artifact, contents_key, load, load_table, parts_in_order
from pipelines.ledger.proof.uniqueness import hashes_of
from pipelines.ledger.reading import Records
from pipelines.ledger.records import Part
from pipelines.run.card import OF_UNKNOWN, read_of, unused_of, words_of

REPEATED = "repeated-ids.bin"  # hashes of the ids that stand in several rows: uint64, sorted


@dataclass(frozen=True)
class PoolArtifact(Artifact):
    """A finished pool. `parts` stand in the order of the data. `repeated` has the ids that stand in several rows, if any do.

    `carries` counts the rows that have something beside what is said by whom (see Example.carried), `unused` those whose records
    have something that no example has a place for.
    """

    made_by = "pool"
    parts: list[Part]
    rejected: dict[str, int]
    carries: dict[str, int]
    unused: dict[str, int]
    repeated: Part | None = None

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    def load(self, part: Part) -> pa.Table:
        """Read a part. Raises StorageFailure where it is gone, or its bytes are not those that were written.

        The `id` of a row is that of its document; where several have it, its place stands with it.
        """
        rows = load_table(self.place, part)
        ids = rows["document_id"]
        if self.repeated is not None:
            alike = pa.array(np.isin(hashes_of(ids.to_pylist()), self._repeated_hashes()))
            ids = pc.if_else(alike, pc.binary_join_element_wise(ids, rows["id"], "@"), ids)
        return with_columns(rows.drop_columns("document_id"), id=ids)

    @property
    def repeated_ids(self) -> int:
        return len(self._repeated_hashes()) if self.repeated is not None else 0

    def missing(self) -> list[str]:
        """Say what of its input is not in it."""
        known = {reason: count for reason, count in self.rejected.items() if reason not in OF_UNKNOWN}
        lines = [f"{sum(known.values()):,} records are not in the pool: {words_of(known)}"] if known else []
        facts = [*read_of({"rejected": {"document": self.rejected}}), *unused_of({"unused": self.unused})]
        return lines + [f"{name}: {told}" for name, told in facts]

    def _repeated_hashes(self) -> np.ndarray:
        return _hashes(self.place.url, astuple(self.place.storage), self.repeated)

    @classmethod
    def _read(cls, place: Place, records: Records, setting: str) -> Self:
        """Raises BadRequest where the pool is empty."""
        parts = parts_in_order(place, records)
        counts = records.now().counts
        rejected = counts.get("rejected", {}).get("document", {})
        if not parts:
            raise BadRequest(f"{setting}: no row of the input is an example. Rejected: {words_of(rejected)}.")
        (repeated,) = [p for c in records.commits(place) for p in c.parts if p.name == REPEATED] or [None]
        beside = [counts.get(name, {}) for name in ("carries", "unused")]
        return cls(place, contents_key(parts), parts, rejected, *beside, repeated)


def places_of(files: pa.ChunkedArray, positions: pa.ChunkedArray) -> pa.ChunkedArray:
    """Name rows by their places."""
    return pc.binary_join_element_wise(files, positions.cast(pa.string()), ":")


@lru_cache(maxsize=4)  # for every part that is read in this process
def _hashes(url: str, storage: tuple, part: Part) -> np.ndarray:
    return np.frombuffer(load(Place(url, StorageConfig(*storage)), part), np.uint64)
