"""Finished scores of packed rows, as later stages open them."""

from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from operators.errors import BadRequest
from operators.learn.losses.config import LossConfig
from operators.storage.place import Place
from pipelines.ledger.artifacts import Artifact, contents_key, load_table, shard_key
from pipelines.ledger.reading import Records
from pipelines.ledger.records import Part
from pipelines.ledger.spans import as_span
from pipelines.pack.artifact import PackedArtifact


@dataclass(frozen=True)
class ScoreArtifact(Artifact):
    """Finished scores of packed rows. `parts` are those of each shard (see shard_key), in the order of its rows; `rows` is the
    key of the packed rows.
    """

    made_by = "score"
    columns: tuple[str, ...]
    parts: dict[str, list[Part]]
    rows: str
    rows_path: str

    @property
    def references(self) -> int:
        """Count the references whose losses stand side by side."""
        return sum(name.startswith("reference_loss") for name in self.columns)

    def load(self, shard: Part) -> pa.Table:
        """Read the scores of a shard."""
        return pa.concat_tables([load_table(self.place, part) for part in self.parts[shard_key(shard)]])

    def of(self, packed: PackedArtifact) -> Self:
        """Give these scores. Raises BadRequest where they are of other rows."""
        if self.rows != packed.key:
            raise BadRequest(
                f"the scores {self.place.url} belong to other packed rows than {packed.place.url} (they were made from "
                f"{self.rows_path}). Score these rows, or give the rows that were scored."
            )
        return self

    @classmethod
    def _read(cls, place: Place, records: Records, setting: str) -> Self:
        spans = [
            (split, as_span(span)[0], part)
            for commit in records.commits(place)
            for split, places in commit.spans.items()
            for span, part in zip(places, commit.parts, strict=True)
        ]
        parts: dict[str, list[Part]] = {}
        for shard, _, part in sorted(spans, key=lambda item: item[:2]):
            parts.setdefault(shard, []).append(part)
        recipe = records.recipe
        return cls(
            place,
            contents_key(part for of_shard in parts.values() for part in of_shard),
            tuple(recipe["fingerprint"]["columns"]),
            parts,
            recipe["fingerprint"]["packed rows"],
            recipe["config"]["data"]["path"],
        )


def loss_columns(loss: LossConfig, scores: ScoreArtifact | None) -> tuple[str, ...]:
    """Name the columns of the scores that a loss reads. Raises BadRequest where the scores lack one."""
    from operators.learn.losses import build_loss

    there = scores.columns if scores else ()
    needed = build_loss(loss, scores.references if scores else 1).columns
    if missing := [name for name in needed if name not in there]:
        given = f"data.scores has {', '.join(there)}" if scores else "data.scores is not given"
        raise BadRequest(
            f"loss.score={loss.score} reads {', '.join(missing)}, and {given}. `gristmill run score` makes it"
            + (" with score.entropy=true." if any("entropy" in name for name in missing) else ".")
        )
    return tuple(needed)
