"""Finished artifacts, as later stages open them: their parts in the order of the data, read whole and held to their checksums."""

import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, ClassVar, Self

import pyarrow as pa
import pyarrow.parquet as pq

from operators.errors import BadRequest, StorageFailure
from operators.storage.base import END
from operators.storage.config import StorageConfig
from operators.storage.place import Place
from pipelines.ledger.reading import Records, read_records
from pipelines.ledger.records import Part
from pipelines.ledger.spans import Spans


@dataclass(frozen=True)
class Reference:
    """A finished artifact as others refer to it: the pipeline that made it, where it is, and what decides it (see digest)."""

    made_by: str
    url: str
    digest: str


@dataclass(frozen=True)
class Artifact(ABC):
    """A finished artifact, opened. `made_by` is the pipeline that makes its kind, `key` changes with what is in it."""

    made_by: ClassVar[str]
    place: Place
    key: str

    @classmethod
    def open(cls, at: str | Reference | None, storage: StorageConfig, setting: str) -> Self:
        """Open what the pipeline made, by its folder or by a reference; `setting` is who named it.

        Raises BadRequest where it is something else, not finished, or no longer what is referred to.
        """
        place, records = finished(at, storage, setting, cls.made_by)
        return cls._read(place, records, setting)

    @classmethod
    @abstractmethod
    def _read(cls, place: Place, records: Records, setting: str) -> Self: ...


def finished(at: str | Reference | None, storage: StorageConfig, setting: str, pipeline: str) -> tuple[Place, Records]:
    """Open what a pipeline made. Raises BadRequest where it is something else, not finished, or no longer what is referred to."""
    if not at:
        raise BadRequest(f"{setting} is not given: the folder that `gristmill run {pipeline}` made.")
    place = Place(at.url if isinstance(at, Reference) else at, storage)
    records = read_records(place)
    made_by = records.recipe.get("pipeline", "rephrase") if records else None
    if made_by != pipeline:
        what = f"was made by `gristmill run {made_by}`" if made_by else "is no artifact of gristmill"
        raise BadRequest(f"{setting}={place.url} {what}. Give the folder that `gristmill run {pipeline}` made.")
    state = records.now()
    if left := [split for split in records.recipe["splits"] if not state.done.get(split, Spans()).complete]:
        raise BadRequest(
            f"{setting}={place.url} is not finished: {len(left)} of {len(records.recipe['splits'])} splits are missing. The "
            "command that began it goes on with them."
        )
    if isinstance(at, Reference) and digest(records.recipe) != at.digest:
        raise BadRequest(
            f"{setting}={place.url} was made anew with other settings meanwhile. The same command goes on."
        )
    return place, records


def digest(recipe: dict[str, Any]) -> str:
    """Name what a run will make, by what decides it (see Pipeline.recipe): 16 hexadecimal digits."""
    deciding = json.dumps([recipe["fingerprint"], recipe["input"], recipe["splits"]], sort_keys=True)
    return blake2b(deciding.encode(), digest_size=8).hexdigest()


def parts_in_order(place: Place, records: Records) -> list[Part]:
    """List the parts with data, in the order of the splits that they were made from."""
    order = {split: number for number, split in enumerate(records.recipe["splits"])}
    commits = sorted(records.commits(place), key=lambda commit: min(order.get(split, END) for split in commit.spans))
    return [part for commit in commits for part in commit.parts if part.name.startswith("data/") and part.rows]


def shard_key(shard: Part) -> str:
    """Name a shard by what is in it, as what is to be done; its places are rows. Rows that are packed anew are the same shard."""
    return f"{shard.checksum}:0-{shard.rows}"


def load_table(place: Place, part: Part) -> pa.Table:
    """Read a part whole, parquet or Arrow's own file. Raises StorageFailure where its bytes are not those that were written."""
    data = load(place, part)
    if part.name.endswith(".arrow"):
        return pa.ipc.open_file(pa.py_buffer(data)).read_all()
    # Without Arrow's own threads: what is still among them when Python ends makes it abort now and then.
    return pq.ParquetFile(io.BytesIO(data), pre_buffer=False).read(use_threads=False)


def load(place: Place, part: Part) -> bytes:
    """Read the bytes of a part. Raises StorageFailure where they are not those that were written."""
    try:
        data = place.read(part.name)
    except FileNotFoundError:
        raise _harmed(place, part, "is gone") from None
    if blake2b(data, digest_size=16).hexdigest() != part.checksum:
        raise _harmed(place, part, "is not what was written (its checksum differs)")
    return data


def _harmed(place: Place, part: Part, what: str) -> StorageFailure:
    return StorageFailure(
        f"{place.url}/{part.name} {what}. `gristmill verify --repair {place.url}` takes it back, and the command that made it "
        "makes it again."
    )


def contents_key(parts: Iterable[Part]) -> str:
    """Digest what some parts hold, whatever their files are called."""
    contents = "\n".join(f"{part.rows} {part.checksum}" for part in parts)
    return blake2b(contents.encode(), digest_size=16).hexdigest()
