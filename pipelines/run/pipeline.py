"""The contract of a pipeline: what a run must know of one to begin it, to go on with it and to tell of it.

A pipeline is made of its job (the checked settings) by its constructor, which looks at everything that can be wrong before
anything is spent. The rest (who owns the artifact, what counts, resuming) is the same for all and stands in run.py.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from importlib.metadata import version
from typing import Any, Protocol

from cluster.session import ClusterConfig
from operators.errors import BadRequest
from operators.settings import setting
from operators.storage.config import StorageConfig
from operators.storage.filesystem import Place
from pipelines.config import identity, resolved
from pipelines.counts import Counts
from pipelines.flow.reporter import Report
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.records import State
from pipelines.ledger.rollback import without_failures


@dataclass
class Output:
    """Where the artifact goes; pipelines that can be told more of it add to this."""

    path: str | None = setting(None, "folder of the artifact: a local path or s3://BUCKET/PREFIX", identity=False)


class Pace(Protocol):
    """Turns the counts that a run reports into a line of progress."""

    def line(self, counts: Counts) -> str: ...


class Pipeline(ABC):
    """One job of a pipeline.

    `run` is what makes it what it is, as the artifact keeps it: `pipeline` (its name), `fingerprint` of what decides the
    content, `config`, `input` (file: bytes and version), `splits` (keys of what is to be done) and `all_at_once` (whether each
    file decides what becomes of the others). `cuts` begin the names of the settings that decide where units of work begin and
    end.
    """

    cuts: tuple[str, ...] = ("",)
    quiet: bool = False  # whether Ray keeps to itself what its processes print
    place: Place
    cluster: ClusterConfig
    warnings: tuple[str, ...] | list[str] = ()
    run: dict[str, Any]

    @abstractmethod
    def left(self, state: State) -> list:
        """Give what is left to do, nothing where all is settled."""

    def needs(self) -> Iterable["Pipeline"]:
        """Give the pipelines whose artifacts the work needs, in order: each is run before the next is asked for."""
        return ()

    @abstractmethod
    def stream(self, work: list, ledger: Ledger, report: Report) -> None:
        """Do what is left, committing to the ledger. Ray is connected."""

    def of_all(self, work: list) -> Counts:
        """Say how much there is to do, for the progress line."""
        return {}

    @abstractmethod
    def pace(self) -> Pace:
        """Give what shows the progress."""

    def ready(self, place: Place, ledger: Ledger, state: State, say: Callable[[str], None]) -> State:
        """Take back what has to be done again before the work can go on."""
        return state

    def without_failures(self, ledger: Ledger, state: State) -> State:
        """Take back the units that failed."""
        return without_failures(ledger, state, whole_documents=True)

    def afterwards(self, counts: Counts) -> list[str]:
        """Say what came out while it ran, from the counts that were reported."""
        return []

    def report(self, state: State) -> dict[str, bytes]:
        """Give files for people, by name, that stand beside the card of the finished artifact."""
        return {}

    @staticmethod
    @abstractmethod
    def card(run: dict[str, Any], counts: Counts, title: str) -> str:
        """Write the README.md of an artifact that a run made."""

    @staticmethod
    @abstractmethod
    def show(run: dict[str, Any], counts: Counts, title: str | None) -> None:
        """Print what became of everything in an artifact that a run made."""


def output_place(path: str | None, storage: StorageConfig, example: str) -> Place:
    """Give the place of an artifact. Raises BadRequest where none was named."""
    if path is None:
        raise BadRequest(f"output.path is not given: a folder or s3://BUCKET/PREFIX, for example output.path={example}")
    return Place(path, storage)


def digest(run: dict[str, Any]) -> str:
    """Name what a run will make, by what decides it: 16 hexadecimal digits."""
    deciding = json.dumps([run["fingerprint"], run["input"], run["splits"]], sort_keys=True)
    return blake2b(deciding.encode(), digest_size=8).hexdigest()


def described(
    name: str, job: Any, contents: dict, input: dict, splits: list[str], all_at_once: bool = False
) -> dict[str, Any]:
    """Write down what makes a run what it is (see Pipeline.run). `contents` decides what comes out as the settings do."""
    return {
        "pipeline": name,
        "fingerprint": identity(job) | contents | {"pipeline": name, "version of gristmill": version("gristmill")},
        "config": resolved(job),
        "input": input,
        "splits": splits,
        "all_at_once": all_at_once,
    }
