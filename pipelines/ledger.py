"""The ledger of an artifact: what it is made from, and what became of every order.

    OUTPUT/_gristmill/run.json            the fingerprint and the resolved config
    OUTPUT/_gristmill/commits/NAME.json   one record per commit: its parts, the spans of its orders, counts

A part belongs to the artifact if, and only if, a commit names it.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

from operators.errors import BadRequest
from operators.storage.filesystem import Place
from pipelines.counts import Counts, add_counts
from pipelines.order import Span, Spans

RUN = "_gristmill/run.json"
COMMITS = "_gristmill/commits"
FOLDERS = ("data", "rejected")


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
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Commit":
        record = json.loads(data)
        return cls([Part(**part) for part in record["parts"]], record["spans"], record["counts"])


class Ledger:
    """Reads and writes the records of one artifact."""

    def __init__(self, place: Place):
        self.place = place
        self.commits: list[Commit] = []

    def open(self, fingerprint: dict, config: dict) -> bool:
        """Take up an artifact or begin it. Returns whether there was one.

        Raises BadRequest if the artifact was made by a run that decides its content otherwise, and says what differs.
        """
        begun = self.place.exists(RUN)
        if begun:
            self._compare(json.loads(self.place.read(RUN))["fingerprint"], fingerprint)
            self.commits = self._load()
            self._remove_orphans()
        else:
            self.place.publish(RUN, json.dumps({"fingerprint": fingerprint, "config": config}, indent=1).encode())
        return begun

    def commit(self, name: str, commit: Commit) -> None:
        self.place.publish(f"{COMMITS}/{name}.json", commit.to_json())

    def holds(self, name: str) -> bool:
        """Whether a commit of that name is there."""
        return self.place.exists(f"{COMMITS}/{name}.json")

    def done(self) -> dict[str, Spans]:
        """Give the settled places of every split."""
        spans: dict[str, list[Span]] = {}
        for commit in self.commits:
            for split, settled in commit.spans.items():
                spans.setdefault(split, []).extend(settled)
        return {split: Spans(settled) for split, settled in spans.items()}

    def counts(self) -> Counts:
        return add_counts(*(commit.counts for commit in self.commits))

    def reload(self) -> None:
        """Read the commits again, after other processes have added theirs."""
        self.commits = self._load()

    def _load(self) -> list[Commit]:
        with ThreadPoolExecutor(16) as pool:
            names = [name for name in self.place.names(COMMITS) if name.endswith(".json")]
            return [Commit.from_json(data) for data in pool.map(self.place.read, names)]

    def _remove_orphans(self) -> None:
        """Remove parts that no commit names: a run died between publishing them and their commit."""
        known = {part.name for commit in self.commits for part in commit.parts}
        for folder in FOLDERS:
            for name in self.place.names(folder):
                if name.endswith(".parquet") and name not in known:
                    self.place.remove(name)

    def _compare(self, was: dict, now: dict) -> None:
        changed = [key for key in sorted(was.keys() | now.keys()) if was.get(key) != now.get(key)]
        if changed:
            lines = [f"  {key}: {was.get(key)!r} there, {now.get(key)!r} now" for key in changed]
            raise BadRequest(
                f"{self.place.url} holds the result of another run, and this one would not continue it:\n"
                + "\n".join(lines)
                + "\nTake these settings back to continue it, or give another output.path."
            )
