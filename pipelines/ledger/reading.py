"""Reading the records of an artifact, while another run may be writing them."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from operators.errors import BadRequest
from operators.storage.place import Place
from pipelines.ledger.layout import commits_folder, epoch_file, epoch_files, epoch_of, head_file
from pipelines.ledger.records import Commit, Epoch, Owner, State


@dataclass
class Records:
    """What a reader finds: the latest epoch with its owner and recipe, its state, and the commits since."""

    number: int
    owner: Owner
    recipe: dict
    state: State
    tail: dict[str, Commit]

    def now(self) -> State:
        """Give the state with all commits in it."""
        return self.state.with_commits(self.tail.values())

    def commits(self, place: Place) -> Iterator[Commit]:
        """Stream all commits of the artifact, old and new."""
        for name in self.state.catalogue:
            yield from read_catalogue(place, name)
        yield from self.tail.values()


def read_records(place: Place) -> Records | None:
    """Read the records as they stand; None where there are none yet. Another run may be writing: what is read fits together."""
    while number := latest_epoch(place):
        try:
            epoch = Epoch.from_json(place.read(epoch_file(number)))
            head = _read_or_none(place, head_file(number))
            state = State.from_record(json.loads(head)) if head else epoch.state
            tail = read_commits(place, number, state)
        except FileNotFoundError:  # folded, or tidied away by a successor, while we were reading
            continue
        if latest_epoch(place) == number and _read_or_none(place, head_file(number)) == head:
            return Records(number, epoch.owner, epoch.recipe, state, tail)
    return None


def latest_epoch(place: Place) -> int:
    """Give the number of the epoch that counts; 0 where none has begun."""
    return max(map(epoch_of, epoch_files(place)), default=0)


def data_parts(place: Place) -> set[str] | None:
    """Name the files that hold an artifact's data; None where the place is no artifact."""
    records = read_records(place)
    if records is None:
        return None
    parts = (part.name for commit in records.commits(place) for part in commit.parts)
    return {name for name in parts if name.startswith("data/")}


def read_part(place: Place, name: str) -> pa.Table:
    """Read a part of rows. Raises BadRequest where it is damaged."""
    try:
        return pq.read_table(place.open(name))
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise BadRequest(
            f"{place.url}/{name} cannot be read ({error}). `gristmill verify --repair` takes it back; "
            "then the same command goes on."
        ) from error


def read_catalogue(place: Place, name: str) -> Iterator[Commit]:
    """Stream the commits that one file of the catalogue lists."""
    with zstandard.ZstdDecompressor().stream_reader(place.read(name)) as stream:
        yield from map(Commit.from_json, io.BufferedReader(stream))


def read_commits(place: Place, number: int, state: State) -> dict[str, Commit]:
    """Read the commits of an epoch that a state does not have yet."""
    files = {name.rpartition("/")[2].removesuffix(".json"): name for name in place.names(commits_folder(number))}
    fresh = {name: file for name, file in files.items() if not state.holds(name)}
    contents = place.read_all(list(fresh.values()))
    return {name: Commit.from_json(content) for name, content in zip(fresh, contents, strict=True)}


def _read_or_none(place: Place, name: str) -> bytes | None:
    try:
        return place.read(name)
    except FileNotFoundError:
        return None


def require_records(place: Place) -> Records:
    """Read the records. Raises BadRequest where there are none, or where they cannot be read."""
    try:
        records = read_records(place)
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise BadRequest(
            f"the records of {place.url} cannot be read ({type(error).__name__}: {error}). They cannot be mended from the "
            "parts alone: take them from a backup, or begin the artifact anew."
        ) from error
    if records is None:
        raise BadRequest(
            f"{place.url} is no artifact of gristmill: no run has begun there (it has no _gristmill/epochs). What `select` and "
            "`compare` need first is made in features.path."
        )
    return records
