"""A finished feature of a pool, as later stages open it."""

from dataclasses import dataclass

import pyarrow as pa

from operators.storage.place import Place
from pipelines.ledger.artifacts import contents_key, finished, load_table, shard_key
from pipelines.ledger.records import Part


@dataclass(frozen=True)
class FeatureArtifact:
    """A finished feature of a pool: a part for each part of the pool, by its shard_key."""

    place: Place
    parts: dict[str, Part]
    key: str

    def load(self, part: Part) -> pa.Table:
        """Read what was measured of a part of the pool."""
        return load_table(self.place, self.parts[shard_key(part)])


def open_feature(place: Place) -> FeatureArtifact:
    """Open what was measured of a pool. Raises BadRequest where that is not finished."""
    place, records = finished(place.url, place.storage, "feature", "measure")
    parts = {shard: commit.parts[0] for commit in records.commits(place) for shard in commit.spans}
    return FeatureArtifact(place, parts, contents_key(parts[shard] for shard in records.recipe["splits"]))
