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

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import NamedTuple

from pipelines.counts import Counts, add_counts
from pipelines.ledger.spans import WHOLE, Span, Spans, Unit, as_span


@dataclass(frozen=True)
class Part:
    """One published file: `name` relative to the artifact, its rows, bytes and BLAKE2b-128 checksum (hex)."""

    name: str
    rows: int
    bytes: int
    checksum: str


@dataclass
class Commit:
    """What one write adds to the artifact: parts, the spans (by split) that they settle, and counts.

    Of the counts these are held against the parts by `verify`: `kept`, {KIND: rows}, whose sum is the rows of its parts in
    data/, and `rejected`, {KIND: {"STAGE/REASON": rows}}, whose sum is those in rejected/; models have no rows. Others may stand
    beside them. Every table has a column `id`: strings, each in one row of the whole artifact.
    """

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

    def lacks(self, split: str) -> bool:
        """Whether anything of a split is left to do."""
        return not self.done.get(split, Spans()).complete

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


def spans_of(commits: Iterable[Commit]) -> dict[str, list[Span]]:
    """Gather what some commits settle, by split."""
    settled: dict[str, list[Span]] = {}
    for commit in commits:
        for split, spans in commit.spans.items():
            settled.setdefault(split, []).extend(map(as_span, spans))
    return settled


def numbered(name: str) -> tuple[str, int]:
    """Take a commit's name apart: NAME-NUMBER."""
    stem, _, number = name.rpartition("-")
    return stem, int(number)


def dumps(record: dict) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode()
