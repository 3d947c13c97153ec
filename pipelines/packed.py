"""Artifacts of packed rows and of their scores, as later stages read them."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import pyarrow as pa

from operators.errors import BadRequest, StorageFailure
from operators.packed import Packing
from operators.storage.filesystem import Place, StorageConfig
from pipelines.order import END, Spans, as_span
from pipelines.records import Part, Records, read_records


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
    place, records = _finished(path, storage, setting, "pack")
    packing = Packing(**records.run["fingerprint"]["packing"])
    order = {split: number for number, split in enumerate(records.run["splits"])}
    commits = sorted(records.commits(place), key=lambda commit: min(order.get(split, END) for split in commit.spans))
    shards = [part for commit in commits for part in commit.parts if part.name.startswith("data/") and part.rows]
    if not shards:
        raise BadRequest(f"{setting}={place.url} holds no packed rows: all documents were empty or rejected.")
    return PackedArtifact(place, packing, shards, _key(shards))


def open_scores(path: str, storage: StorageConfig, setting: str, packed: PackedArtifact) -> ScoreArtifact:
    """Open what `gristmill run score` made of some packed rows. Raises BadRequest where it is of other rows, or not finished."""
    place, records = _finished(path, storage, setting, "score")
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
        place, tuple(records.run["fingerprint"]["columns"]), parts, _key(p for ps in parts.values() for p in ps)
    )


def shard_key(shard: Part) -> str:
    """Name a shard by what is in it, as what is to be done; its places are rows. Rows that are packed anew are the same shard."""
    return f"{shard.checksum}:0-{shard.rows}"


def load_table(place: Place, part: Part) -> pa.Table:
    """Read an Arrow part whole. Raises StorageFailure where its bytes are not those that were written."""
    try:
        data = place.read(part.name)
    except FileNotFoundError:
        raise _harmed(place, part, "is gone") from None
    if blake2b(data, digest_size=16).hexdigest() != part.checksum:
        raise _harmed(place, part, "is not what was written (its checksum differs)")
    return pa.ipc.open_file(pa.py_buffer(data)).read_all()


def _harmed(place: Place, part: Part, what: str) -> StorageFailure:
    return StorageFailure(
        f"{place.url}/{part.name} {what}. `gristmill verify --repair {place.url}` takes it back, and the command that made it "
        "makes it again."
    )


def _finished(path: str | None, storage: StorageConfig, setting: str, pipeline: str) -> tuple[Place, Records]:
    if not path:
        raise BadRequest(f"{setting} is not given: the folder that `gristmill run {pipeline}` made.")
    place = Place(path, storage)
    records = read_records(place)
    made_by = records.run.get("pipeline", "rephrase") if records else None
    if made_by != pipeline:
        what = f"was made by `gristmill run {made_by}`" if made_by else "is no artifact of gristmill"
        raise BadRequest(f"{setting}={place.url} {what}. Give the folder that `gristmill run {pipeline}` made.")
    state = records.now()
    if left := [split for split in records.run["splits"] if not state.done.get(split, Spans()).complete]:
        raise BadRequest(
            f"{setting}={place.url} is not finished: {len(left)} of {len(records.run['splits'])} splits are missing. The command "
            "that began it goes on with them."
        )
    return place, records


def _key(parts: Iterator[Part] | list[Part]) -> str:
    """Digest what some parts hold, whatever their files are called."""
    contents = "\n".join(f"{part.rows} {part.checksum}" for part in parts)
    return blake2b(contents.encode(), digest_size=16).hexdigest()
