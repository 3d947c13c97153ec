"""A finished pool, as later stages open it."""

from dataclasses import dataclass

import pyarrow as pa

from operators.errors import BadRequest
from operators.storage.config import StorageConfig
from operators.storage.place import Place
from pipelines.ledger.artifacts import contents_key, finished, load_table, parts_in_order
from pipelines.ledger.records import Part
from pipelines.run.card import words_of


@dataclass(frozen=True)
class PoolArtifact:
    """A finished pool. `parts` stand in the order of the data; `key` changes with what is in them."""

    place: Place
    parts: list[Part]
    key: str
    rejected: dict[str, int]

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    def load(self, part: Part) -> pa.Table:
        """Read a part. Raises StorageFailure where it is gone, or its bytes are not those that were written."""
        return load_table(self.place, part)


def open_pool(path: str | None, storage: StorageConfig, setting: str) -> PoolArtifact:
    """Open a pool. Raises BadRequest where it is something else, empty, or not finished."""
    place, records = finished(path, storage, setting, "pool")
    parts = parts_in_order(place, records)
    rejected = records.now().counts.get("rejected", {}).get("document", {})
    if not parts:
        raise BadRequest(f"{setting}: no row of the input is an example. Rejected: {words_of(rejected)}.")
    return PoolArtifact(place, parts, contents_key(parts), rejected)
