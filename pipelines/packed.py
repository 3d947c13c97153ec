"""Artifacts of packed rows and of their scores, as later stages read them."""

from dataclasses import dataclass

import pyarrow as pa

from operators.errors import BadRequest
from operators.packed import Packing
from operators.storage.filesystem import Place, StorageConfig
from pipelines.artifacts import contents_key, finished, load_table, parts_in_order, shard_key
from pipelines.order import as_span
from pipelines.records import Part


@dataclass(frozen=True)
class PackedArtifact:
    """Finished packed rows. `shards` are its parts, in the order of the documents; `key` changes with what was packed."""

    place: Place
    packing: Packing
    shards: list[Part]
    key: str

    @property
    def rows(self) -> int:
        return sum(shard.rows for shard in self.shards)

    def load(self, shard: Part) -> pa.Table:
        """Read a shard. Raises StorageFailure where it is gone, or its bytes are not those that were written."""
        return load_table(self.place, shard)

    def head(self, rows: int) -> pa.Table:
        """Read the first rows."""
        tables, left = [], rows
        for shard in self.shards:
            if left <= 0:
                break
            tables.append(self.load(shard).slice(0, left))
            left -= len(tables[-1])
        return pa.concat_tables(tables)


@dataclass(frozen=True)
class ScoreArtifact:
    """Finished scores of packed rows. `parts` are those of each shard (see shard_key), in the order of its rows."""

    place: Place
    columns: tuple[str, ...]
    parts: dict[str, list[Part]]
    key: str

    @property
    def references(self) -> int:
        """Count the references whose losses stand side by side."""
        return sum(name.startswith("reference_loss") for name in self.columns)

    def load(self, shard: Part) -> pa.Table:
        """Read the scores of a shard."""
        return pa.concat_tables([load_table(self.place, part) for part in self.parts[shard_key(shard)]])


def open_packed(path: str | None, storage: StorageConfig, setting: str) -> PackedArtifact:
    """Open what `gristmill run pack` made. Raises BadRequest where it is something else, empty, or not finished."""
    place, records = finished(path, storage, setting, "pack")
    packing = Packing(**records.run["fingerprint"]["packing"])
    shards = parts_in_order(place, records)
    if not shards:
        raise BadRequest(f"{setting}={place.url} holds no packed rows: all documents were empty or rejected.")
    return PackedArtifact(place, packing, shards, contents_key(shards))


def open_scores(path: str, storage: StorageConfig, setting: str, packed: PackedArtifact) -> ScoreArtifact:
    """Open what `gristmill run score` made of some packed rows. Raises BadRequest where it is of other rows, or not finished."""
    place, records = finished(path, storage, setting, "score")
    of = records.run["fingerprint"]["packed rows"]
    if of != packed.key:
        raise BadRequest(
            f"the scores {place.url} belong to other packed rows than {packed.place.url} (they were made from "
            f"{records.run['config']['data']['path']}). Score these rows, or give the rows that were scored."
        )
    spans = [
        (split, as_span(span)[0], part)
        for commit in records.commits(place)
        for split, places in commit.spans.items()
        for span, part in zip(places, commit.parts, strict=True)
    ]
    parts: dict[str, list[Part]] = {}
    for shard, _, part in sorted(spans, key=lambda item: item[:2]):
        parts.setdefault(shard, []).append(part)
    return ScoreArtifact(
        place, tuple(records.run["fingerprint"]["columns"]), parts, contents_key(p for ps in parts.values() for p in ps)
    )
