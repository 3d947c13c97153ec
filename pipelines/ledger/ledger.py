"""Writing to an artifact: who may, and what makes a write count.

    claim    agree on the next epoch: from then on what the run before it may still write does not count (tenure.py)
    commit   one record makes parts and the fate of their units count, all at once
    fold     now and then the owner gathers commits into the head and the catalogue, so that reading stays cheap (tenure.py)

Source of the idea that a log of records, not the files, is the table: Delta Lake, VLDB 2020.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from operators.storage.place import Place
from pipelines.exits import RunFailed
from pipelines.ledger.layout import (
    commits_folder,
)
from pipelines.ledger.reading import Records, latest_epoch
from pipelines.ledger.records import Commit


class Lost(RunFailed):
    """Another run owns the artifact now, so nothing may be written any more."""


@dataclass(frozen=True)
class Ledger:
    """One epoch of an artifact, for the processes that commit to it. Can be pickled."""

    place: Place
    number: int

    def commit(self, name: str, commit: Commit) -> bool:
        """Make a commit count. False where one of that name (NAME-NUMBER) was there before, which then stands alone."""
        return self.place.create(f"{commits_folder(self.number)}/{name}.json", commit.to_json())

    def holds(self, name: str) -> bool:
        """Whether a commit of that name is there and not folded yet."""
        return self.place.exists(f"{commits_folder(self.number)}/{name}.json")

    def current(self) -> bool:
        """Whether the epoch still counts."""
        return latest_epoch(self.place) == self.number

    def lost(self) -> Lost:
        return Lost(f"another run has taken over {self.place.url}, so this one ends. What it had committed stays.")

    @contextmanager
    def missing_means_lost(self) -> Iterator[None]:
        """Turn FileNotFoundError into Lost where a successor may have removed what it does not count."""
        try:
            yield
        except FileNotFoundError:
            if self.current():
                raise
            raise self.lost() from None


def next_ledger(place: Place, before: Records | None) -> Ledger:
    """Give the epoch after the one that was read, which is still to be claimed."""
    return Ledger(place, before.number + 1 if before else 1)
