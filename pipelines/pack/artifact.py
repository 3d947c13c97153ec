"""Artifacts of packed rows and of their scores, as later stages read them."""

from dataclasses import dataclass

import pyarrow as pa

from operators.errors import BadRequest
from operators.storage.config import StorageConfig
from operators.storage.place import Place
from operators.tokens.rows import Packing
from pipelines.ledger.artifacts import contents_key, finished, load_table, parts_in_order
from pipelines.ledger.records import Part


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


def open_packed(path: str | None, storage: StorageConfig, setting: str) -> PackedArtifact:
    """Open what `gristmill run pack` made. Raises BadRequest where it is something else, empty, or not finished."""
    place, records = finished(path, storage, setting, "pack")
    packing = Packing(**records.recipe["fingerprint"]["packing"])
    shards = parts_in_order(place, records)
    if not shards:
        raise BadRequest(f"{setting}={place.url} holds no packed rows: all documents were empty or rejected.")
    return PackedArtifact(place, packing, shards, contents_key(shards))


TOKENIZER = "tokenizer"  # folder of the artifact with the tokenizer's files, for the models that will be trained on it
