"""A finished pool, as later stages open it."""

from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from operators.errors import BadRequest
from operators.storage.place import Place
from pipelines.ledger.artifacts import Artifact, contents_key, load_table, parts_in_order
from pipelines.ledger.reading import Records
from pipelines.ledger.records import Part
from pipelines.run.card import words_of


@dataclass(frozen=True)
class PoolArtifact(Artifact):
    """A finished pool. `parts` stand in the order of the data.

    `carries` counts the rows that have something beside what is said by whom (see Example.carried).
    """

    made_by = "pool"
    parts: list[Part]
    rejected: dict[str, int]
    carries: dict[str, int]

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    def load(self, part: Part) -> pa.Table:
        """Read a part. Raises StorageFailure where it is gone, or its bytes are not those that were written."""
        return load_table(self.place, part)

    @classmethod
    def _read(cls, place: Place, records: Records, setting: str) -> Self:
        """Raises BadRequest where the pool is empty."""
        parts = parts_in_order(place, records)
        counts = records.now().counts
        rejected = counts.get("rejected", {}).get("document", {})
        if not parts:
            raise BadRequest(f"{setting}: no row of the input is an example. Rejected: {words_of(rejected)}.")
        return cls(place, contents_key(parts), parts, rejected, counts.get("carries", {}))
