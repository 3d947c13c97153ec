"""The records of an artifact, and how to read them. They say what belongs to it; a listing of its parts never does.

    OUTPUT/_gristmill/epochs/00000007.json      who has owned the artifact since then, and what was settled before. Never changes
    OUTPUT/_gristmill/heads/00000007.json       the same, later in that epoch: its owner folds commits into it now and then
    OUTPUT/_gristmill/commits/00000007/*.json   what was committed in that epoch and is not folded yet
    OUTPUT/_gristmill/catalogue/*.jsonl.zst     the folded commits, in files that never change

What they name are tables in data/ and rejected/ (a selection has a folder in data/ for each choice), and the files of models in
checkpoints/.

An epoch is the time of one owner (one run). What is written under an epoch that is not the latest does not count, so a run
that was taken for dead and wakes up cannot spoil the work of its successor. Reading assumes of the storage only that a
listing shows what was written before it, as local disks, S3 and its kind do.
"""

import io
import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import NamedTuple

import zstandard

from operators.storage.filesystem import Place
from pipelines.counts import Counts, add_counts
from pipelines.ledger.spans import WHOLE, Span, Spans, Unit, as_span

RECORDS = "_gristmill"


EPOCHS, HEADS, COMMITS, CATALOGUE = (f"{RECORDS}/{name}" for name in ("epochs", "heads", "commits", "catalogue"))


FOLDERS = ("data", "rejected")  # of parts that are tables


CHECKPOINTS = "checkpoints"  # of parts that are a model's files, each model in a folder of its own


# What a run writes; nothing else is ever removed. The first number of eight digits is the epoch.
TABLE = re.compile(r"(data|rejected)/(?:[\w.-]+/)?part-(\d{8})-[0-9a-f]{32}\.(parquet|arrow)")


MODEL_FILE = re.compile(CHECKPOINTS + r"/run-(\d{8})-step-\d{8,}/[^/]+")


@dataclass(frozen=True)
class Part:
    """One published file: `name` relative to the artifact, its rows, bytes and BLAKE2b-128 checksum (hex)."""

    name: str
    rows: int
    bytes: int
    checksum: str


@dataclass
class Commit:
    """What one write adds to the artifact: parts, the spans (by split) that they settle, and counts."""

    parts: list[Part]
    spans: dict[str, list[Span]]
    counts: Counts = field(default_factory=dict)

    def to_json(self) -> bytes:
        return dumps(asdict(self))

    @classmethod
    def from_json(cls, data: bytes) -> "Commit":
        record = json.loads(data)
        return cls([Part(**part) for part in record["parts"]], record["spans"], record["counts"])


@dataclass
class State:
    """All that was settled at one moment.

    `done` has the settled places of every split. Of some chunks that are not among them only the units in `redo` are to be
    done, the others were kept. `folded` are the commits of this epoch that are in here already, as ranges of numbers by name;
    `catalogue` names the files that list the folded commits of all epochs.
    """

    done: dict[str, Spans] = field(default_factory=dict)
    redo: dict[str, list[Unit]] = field(default_factory=dict)
    counts: Counts = field(default_factory=dict)
    folded: dict[str, list[list[int]]] = field(default_factory=dict)
    catalogue: list[str] = field(default_factory=list)

    def record(self) -> dict:
        """Give it as plain values."""
        return vars(self) | {"done": {split: 1 if s.complete else s.spans for split, s in self.done.items()}}

    @classmethod
    def from_record(cls, record: dict) -> "State":
        done = {s: Spans([WHOLE] if spans == 1 else map(as_span, spans)) for s, spans in record["done"].items()}
        redo = {split: [Unit(*unit) for unit in units] for split, units in record["redo"].items()}
        return cls(**record | {"done": done, "redo": redo})

    def with_commits(self, commits: Collection[Commit]) -> "State":
        """Give the state after some more commits; the catalogue stays as it is."""
        settled = spans_of(commits)
        new = {s: Spans([*self.done.get(s, Spans()).spans, *spans]) for s, spans in settled.items()}
        done = self.done | new
        redo = {
            split: [unit for unit in units if done.get(split, Spans()).outside(unit.span)]
            for split, units in self.redo.items()
        }
        counts = add_counts(self.counts, *(commit.counts for commit in commits))
        return replace(self, done=done, redo={s: units for s, units in redo.items() if units}, counts=counts)

    def holds(self, name: str) -> bool:
        """Whether a commit of this epoch is folded in."""
        stem, number = numbered(name)
        return any(begin <= number < end for begin, end in self.folded.get(stem, ()))


class Owner(NamedTuple):
    """The process that a run's driver is. `boot` and `namespace` tell whether `pid` means something where it is read."""

    id: str
    host: str
    boot: str
    namespace: str
    pid: int
    started: float  # seconds since 1970, as the system has it


class Epoch(NamedTuple):
    """The time of one owner: the recipe of its run (see Pipeline.recipe), and what had been settled before."""

    owner: Owner
    recipe: dict
    state: State

    def to_json(self) -> bytes:
        return dumps({"owner": self.owner, "run": self.recipe, "state": self.state.record()})

    @classmethod
    def from_json(cls, data: bytes) -> "Epoch":
        record = json.loads(data)
        return cls(Owner(*record["owner"]), record["run"], State.from_record(record["state"]))


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


def spans_of(commits: Iterable[Commit]) -> dict[str, list[Span]]:
    """Gather what some commits settle, by split."""
    settled: dict[str, list[Span]] = {}
    for commit in commits:
        for split, spans in commit.spans.items():
            settled.setdefault(split, []).extend(map(as_span, spans))
    return settled


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


def epoch_files(place: Place) -> list[str]:
    """Name the files of the epochs; what else may lie there is not ours."""
    return [name for name in place.names(EPOCHS) if re.fullmatch(r"\d{8}\.json", name.rpartition("/")[2])]


def data_parts(place: Place) -> set[str] | None:
    """Name the files that hold an artifact's data; None where the place is no artifact."""
    records = read_records(place)
    if records is None:
        return None
    parts = (part.name for commit in records.commits(place) for part in commit.parts)
    return {name for name in parts if name.startswith("data/")}


def is_part(name: str) -> bool:
    """Whether a file has a name as runs give them to parts."""
    return bool(TABLE.fullmatch(name) or MODEL_FILE.fullmatch(name))


def files_of_parts(place: Place) -> tuple[list[str], list[str]]:
    """Name the files that lie where parts do, and those of them that were being written when their writer was killed."""
    folders = [*FOLDERS, *(inner for folder in (*FOLDERS, CHECKPOINTS) for inner in place.folders(folder))]
    there = [name for folder in folders for name in place.names(folder)]
    return there, [name for folder in folders for name in place.leftovers(folder)]


def epoch_of(name: str) -> int:
    """Give the number of the epoch in which a file was written."""
    return int(re.search(r"(?<!\d)\d{8}(?!\d)", name)[0])


def epoch_file(number: int) -> str:
    return f"{EPOCHS}/{number:08}.json"


def head_file(number: int) -> str:
    return f"{HEADS}/{number:08}.json"


def beats_file(number: int) -> str:
    return f"{RECORDS}/beats/{number:08}.json"


def commits_folder(number: int) -> str:
    return f"{COMMITS}/{number:08}"


def numbered(name: str) -> tuple[str, int]:
    """Take a commit's name apart: NAME-NUMBER."""
    stem, _, number = name.rpartition("-")
    return stem, int(number)


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


def dumps(record: dict) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode()


def _read_or_none(place: Place, name: str) -> bytes | None:
    try:
        return place.read(name)
    except FileNotFoundError:
        return None


DIGESTED = r"[^/]+-[0-9a-f]{16}(-[^/]+)?"  # the name of an artifact that has the digest of its run in it


CARD = "README.md"
