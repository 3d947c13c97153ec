"""A finished feature of a pool, as later stages open it."""

from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from operators.storage.place import Place
from pipelines.ledger.artifacts import Artifact, contents_key, load_table, shard_key
from pipelines.ledger.reading import Records
from pipelines.ledger.records import Part


@dataclass(frozen=True)
class FeatureArtifact(Artifact):
    """A finished feature of a pool: a part for each part of the pool, by its shard_key."""

    made_by = "measure"
    parts: dict[str, Part]

    def load(self, part: Part) -> pa.Table:
        """Read what was measured of a part of the pool."""
        return load_table(self.place, self.parts[shard_key(part)])

    @classmethod
    def _read(cls, place: Place, records: Records, setting: str) -> Self:
        parts = {shard: commit.parts[0] for commit in records.commits(place) for shard in commit.spans}
        return cls(place, contents_key(parts[shard] for shard in records.recipe["splits"]), parts)
