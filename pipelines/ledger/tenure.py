"""The owner's side of an epoch: to claim it, to fold commits into its head and catalogue, to clear away what does not count.

In which order of steps, so that a death between any two does no harm.
"""

import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from operators.storage.place import Place
from pipelines.ledger.agreement import agree
from pipelines.ledger.layout import (
    CATALOGUE,
    RECORDS,
    beats_file,
    commits_folder,
    epoch_file,
    epoch_files,
    epoch_of,
    files_of_parts,
    head_file,
    is_part,
)
from pipelines.ledger.ledger import Ledger, Lost, next_ledger
from pipelines.ledger.publish import publish_catalogue
from pipelines.ledger.reading import Records, latest_epoch, read_catalogue, read_commits
from pipelines.ledger.records import Commit, Epoch, Owner, State, dumps, numbered

FOLD_AT = 256  # commits
LONGEST_REST_S = 0.5


class Tenure:
    """The owner's side of an epoch: its state, and the folding of commits into it."""

    def __init__(self, ledger: Ledger, state: State):
        self.ledger, self.state = ledger, state
        self._folding = threading.Lock()

    def fold(self, at_least: int = FOLD_AT) -> None:
        """Take the commits so far into the state, if there are enough of them.

        The catalogue comes first, then the head that names it, and only then do the commits go: whoever reads finds each of them
        once. Raises Lost where the epoch does not count any more.
        """
        with self._folding, self.ledger.missing_means_lost():
            self._fold(at_least)

    def _fold(self, at_least: int) -> None:
        place, folder = self.ledger.place, commits_folder(self.ledger.number)
        files = place.names(folder)
        tail = read_commits(place, self.ledger.number, self.state) if len(files) >= at_least else {}
        # Asked after the reading: a successor may have taken away some of what was to be read.
        if not self.ledger.current():
            raise self.ledger.lost()
        if not tail:
            return
        state = folded(self.ledger, self.state, tail)
        place.publish(head_file(self.ledger.number), dumps(state.record()))
        self.state = state
        for file in files:
            place.remove(file)

    def take_back(self, change: Callable[[Ledger, State], State]) -> None:
        """Take all commits into the state, and put in its place what a change makes of it. Raises Lost as `fold` does."""
        with self._folding, self.ledger.missing_means_lost():
            self._fold(at_least=1)
            self.state = change(self.ledger, self.state)
            self.ledger.place.publish(head_file(self.ledger.number), dumps(self.state.record()))


def claim(
    place: Place,
    before: Records | None,
    state: State,
    owner: Owner,
    recipe: dict,
    rest: Callable[[], None] | None = None,
) -> Tenure:
    """Begin the epoch after the one that was read, with a state that was made from it. Raises Lost if another run was faster."""
    ledger = next_ledger(place, before)
    number = ledger.number
    mine = Epoch(owner, recipe, replace(state, folded={})).to_json()
    try:
        agreed = agree(place, _ballots(number), owner.id, mine.decode(), rest or _rest).encode()
    except FileNotFoundError:  # the ballots were tidied away: this epoch is long past
        raise _beaten(place) from None
    place.publish(epoch_file(number), agreed)
    if agreed != mine or latest_epoch(place) != number:
        raise _beaten(place)
    return Tenure(ledger, replace(state, folded={}))


def folded(ledger: Ledger, state: State, commits: dict[str, Commit]) -> State:
    """Give the state with some commits in it, and put these into the catalogue of an epoch: the owner's, or one to be claimed."""
    if not commits:
        return state
    numbers: dict[str, list[int]] = {}
    for name in commits:
        stem, number = numbered(name)
        numbers.setdefault(stem, []).append(number)
    ranges = {stem: _joined([*state.folded.get(stem, []), *([n, n + 1] for n in new)]) for stem, new in numbers.items()}
    catalogue = [*state.catalogue, publish_catalogue(ledger, commits.values())]
    return replace(state.with_commits(commits.values()), folded=state.folded | ranges, catalogue=catalogue)


def tidy(tenure: Tenure) -> None:
    """Remove the records of earlier epochs, and what died before a state named it.

    Nothing of a later epoch is touched: should this run have been taken for dead, its successor's files are not its affair.
    The epochs' own files go last, because they say what there is to remove.
    """
    place, now = tenure.ledger.place, tenure.ledger.number
    for name in place.names(CATALOGUE):
        if epoch_of(name) <= now and name not in tenure.state.catalogue:
            place.remove(name)
    for epoch_name in epoch_files(place):
        if (number := epoch_of(epoch_name)) < now:
            old = [*place.names(commits_folder(number)), *place.names(_ballots(number))]
            for name in [*old, head_file(number), beats_file(number), epoch_name]:
                place.remove(name)


def sweep(tenure: Tenure) -> list[str]:
    """Remove the parts that no commit names (a run died between publishing them and their commit), and give their names.

    To be called after a fold, which sees that the state has all that a successor may count.
    """
    place = tenure.ledger.place
    with tenure.ledger.missing_means_lost():
        known = {part.name for name in tenure.state.catalogue for c in read_catalogue(place, name) for part in c.parts}
    there, halves = files_of_parts(place)
    orphans = [n for n in there if is_part(n) and n not in known and epoch_of(n) <= tenure.ledger.number] + halves
    for name in orphans:
        place.remove(name)
    return orphans


def _beaten(place: Place) -> Lost:
    return Lost(
        f"another run has begun on {place.url} at the same moment. If none is at work, the same command goes on."
    )


def _ballots(number: int) -> str:
    return f"{RECORDS}/ballots/{number:08}"


def _joined(ranges: Iterable[list[int]]) -> list[list[int]]:
    joined: list[list[int]] = []
    for begin, end in sorted(ranges):
        if joined and begin <= joined[-1][1]:
            joined[-1][1] = max(end, joined[-1][1])
        else:
            joined.append([begin, end])
    return joined


def _rest() -> None:
    time.sleep(random.random() * LONGEST_REST_S)
