"""Artifacts of packed rows and of their scores, as later stages read them."""

from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from operators.errors import BadRequest
from operators.storage.place import Place
from operators.tokens.rows import Packing
from pipelines.ledger.artifacts import Artifact, contents_key, load_table, parts_in_order
from pipelines.ledger.reading import Records
from pipelines.ledger.records import Part

TOKENIZER = "tokenizer"  # folder of the artifact with the tokenizer's files, for the models that will be trained on it


@dataclass(frozen=True)
class PackedArtifact(Artifact):
    """Finished packed rows. `shards` are its parts, in the order of the documents."""

    made_by = "pack"
    packing: Packing
    shards: list[Part]

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

    @classmethod
    def _read(cls, place: Place, records: Records, setting: str) -> Self:
        """Raises BadRequest where nothing was packed."""
        packing = Packing(**records.recipe["fingerprint"]["packing"])
        shards = parts_in_order(place, records)
        if not shards:
            raise BadRequest(f"{setting}={place.url} holds no packed rows: all documents were empty or rejected.")
        return cls(place, contents_key(shards), packing, shards)
