"""A finished choice, as later stages open it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa

from operators.storage.place import Place
from pipelines.ledger.artifacts import Artifact, contents_key, load, load_table, parts_in_order
from pipelines.ledger.reading import Records
from pipelines.ledger.records import Part

TOLD = "choice.json"  # what the selector told: who could not be chosen, and its notes


@dataclass(frozen=True)
class ChoiceArtifact(Artifact):
    """A finished choice: its rows in parts, in the order of the picks, and what the selector told: excluded, notes, eligible."""

    made_by = "choose"
    parts: list[Part]
    told: dict[str, Any]

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    def tables(self) -> Iterator[pa.Table]:
        """Read the rows, a part at a time."""
        return (load_table(self.place, part) for part in self.parts)

    @property
    def positions(self) -> np.ndarray:
        """Give the positions of the picks in the pool: int64."""
        return np.concatenate([np.empty(0, np.int64), *(table["position"].to_numpy() for table in self.tables())])

    @classmethod
    def _read(cls, place: Place, records: Records, setting: str) -> Self:
        (told,) = (part for commit in records.commits(place) for part in commit.parts if part.name == TOLD)
        parts = parts_in_order(place, records)
        return cls(place, contents_key(parts), parts, json.loads(load(place, told)))
