"""The ledger of an artifact: what it is made from, and what became of every order.

    OUTPUT/_gristmill/run.json            the fingerprint, the resolved config and the input's files
    OUTPUT/_gristmill/commits/NAME.json   one record per commit: its parts, the spans of its orders, counts

A part belongs to the artifact if, and only if, a commit names it.
"""

import fcntl
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from operators.errors import BadRequest
from operators.storage.base import InputFile
from operators.storage.filesystem import Place, local_path
from pipelines.counts import Counts, add_counts
from pipelines.order import Span, Spans

RUN = "_gristmill/run.json"
COMMITS = "_gristmill/commits"
FOLDERS = ("data", "rejected")
PART = re.compile(r"(data|rejected)/part-[0-9a-f]{32}\.parquet")  # what a run writes; nothing else is ever removed
CARD = "README.md"
LOCK = "_gristmill/lock"
NAMED = 5  # of many files, in a message


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

    def open(self, fingerprint: dict, config: dict, files: list[InputFile], all_at_once: bool = False) -> None:
        """Take up an artifact or begin it.

        Raises BadRequest if the artifact was made by a run that decides its content otherwise, or if a file of its input has
        changed since or is gone. New files may come, unless `all_at_once` says that each
        decides what becomes of the others.
        """
        there = json.loads(self.place.read(RUN)) if self.place.exists(RUN) else None
        versions = {file.name: [file.bytes, file.version] for file in files}
        if there is not None:
            self.commits = self._load()
            self._remove_orphans()
        if self.commits:
            self._compare(there["fingerprint"], fingerprint)
            self._compare_input(there["input"], versions, all_at_once)
            versions = there["input"] | versions
        record = {"fingerprint": fingerprint, "config": config, "input": versions}
        if record != there:
            self.place.publish(RUN, json.dumps(record, indent=1).encode())

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
                if PART.fullmatch(name) and name not in known:
                    self.place.remove(name)

    def refuse_to_overwrite(self) -> None:
        """Raise BadRequest if the folder is no artifact and holds what one would overwrite. To be asked before all else."""
        if self.place.exists(RUN):
            return
        there = [name for folder in FOLDERS for name in self.place.names(folder)]
        there += [CARD] if self.place.exists(CARD) else []
        if there:
            raise BadRequest(
                f"{self.place.url} holds files that no run of gristmill wrote: {_some(there)}. "
                "Give an empty or a new folder as output.path."
            )

    def _compare(self, was: dict, now: dict) -> None:
        changed = [key for key in sorted(was.keys() | now.keys()) if was.get(key) != now.get(key)]
        if changed:
            lines = [f"  {key}: {was.get(key)!r} there, {now.get(key)!r} now" for key in changed]
            raise BadRequest(
                f"{self.place.url} holds the result of another run, and this one would not continue it:\n"
                + "\n".join(lines)
                + "\nTake these settings back to continue it, or give another output.path."
            )

    def _compare_input(self, was: dict, now: dict, all_at_once: bool) -> None:
        changed = [name for name in was if was[name] != now.get(name)]
        if all_at_once:
            changed += sorted(now.keys() - was.keys())
        if changed:
            raise BadRequest(
                f"the input is not what {self.place.url} was begun with; {len(changed)} of its files have changed, come or "
                f"gone: {_some(changed)}. Rows of both would stand beside each other. Put the files back, or give another "
                "output.path."
            )


@contextmanager
def held(place: Place) -> Iterator[None]:
    """Keep a second run out of an artifact on this machine's disks. Raises BadRequest if one is at work there.

    The system lets go of the lock when the process ends, however it ends.
    """
    root = local_path(place.url)
    if root is None:
        yield
        return
    path = Path(root, LOCK)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadRequest(
                f"another run is at work on {place.url}. Wait for its end, stop it, or give another output.path."
            ) from None
        except OSError:  # a filesystem without locks: nothing can be guarded there
            pass
        yield


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
