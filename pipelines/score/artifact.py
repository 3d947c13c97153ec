"""Finished scores of packed rows, as later stages open them."""

from dataclasses import dataclass

import pyarrow as pa

from operators.errors import BadRequest
from operators.learn.losses.config import LossConfig
from operators.storage.config import StorageConfig
from operators.storage.place import Place
from pipelines.ledger.artifacts import contents_key, finished, load_table, shard_key
from pipelines.ledger.records import Part
from pipelines.ledger.spans import as_span
from pipelines.pack.artifact import PackedArtifact


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


def open_scores(path: str, storage: StorageConfig, setting: str, packed: PackedArtifact) -> ScoreArtifact:
    """Open what `gristmill run score` made of some packed rows. Raises BadRequest where it is of other rows, or not finished."""
    place, records = finished(path, storage, setting, "score")
    of = records.recipe["fingerprint"]["packed rows"]
    if of != packed.key:
        raise BadRequest(
            f"the scores {place.url} belong to other packed rows than {packed.place.url} (they were made from "
            f"{records.recipe['config']['data']['path']}). Score these rows, or give the rows that were scored."
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
        place,
        tuple(records.recipe["fingerprint"]["columns"]),
        parts,
        contents_key(p for ps in parts.values() for p in ps),
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
