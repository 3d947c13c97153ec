"""The commit protocol, checked in every order of steps that two or three runs can take, any of which may die at any step.

Nobody honours a lease here: every run begins at once, as if all leases had been taken for dead.
"""

from contextlib import suppress

import pytest

from pipelines.ledger.ledger import Ledger, Lost, next_ledger
from pipelines.ledger.reading import read_records
from pipelines.ledger.records import Commit, Owner, Part, State
from pipelines.ledger.spans import Spans, as_span
from pipelines.ledger.tenure import claim, folded, sweep, tidy
from tests.pipelines.ledger.stepwise import run_alone, worlds

SPLIT = "f:0-9"
END = 2  # units, each a document


def owner(me: str) -> Owner:
    return Owner(me, "host", "boot", "namespace", 1, 0.0)


def part_of(ledger: Ledger, me: str, unit: int) -> str:
    return f"data/part-{ledger.number:08}-{me}{unit:031x}.parquet"


def write(place, ledger: Ledger, me: str, unit: int, name: str) -> None:
    """Do what a write task does for one unit."""
    if ledger.holds(name):
        return
    if not ledger.current():
        raise Lost
    part = part_of(ledger, me, unit)
    place.publish(part, b"rows")
    spans = {SPLIT: [((unit, 0), (unit + 1, 0))]}
    ledger.commit(name, Commit([Part(part, 1, 4, "")], spans, {"kept": {"qa": 1}}))


def yielding() -> None:
    """Give up after a lost ballot, or the contenders would raise each other for ever."""
    raise Lost


def a_run(me: str, rest=yielding):
    """A whole run: claim, do what is left, fold, sweep."""

    def run(place) -> None:
        try:
            records = read_records(place)
            ledger = next_ledger(place, records)
            state = folded(ledger, records.state, records.tail) if records else State()
            tenure = claim(place, records, state, owner(me), {"splits": [SPLIT]}, rest)
            place.told.add(ledger.number)
            tidy(tenure)
            for unit in range(END):
                if state.done.get(SPLIT, Spans()).outside(((unit, 0), (unit + 1, 0))):
                    write(place, tenure.ledger, me, unit, f"{me}-{unit}")
            tenure.fold(at_least=1)
            sweep(tenure)
        except Lost:
            pass

    return run


def units(place) -> list[tuple]:
    """Give the units that a reader finds, as often as it finds them; all parts that are named must be there."""
    records = read_records(place)
    if records is None:
        return []
    commits = list(records.commits(place))
    for part in (part for commit in commits for part in commit.parts):
        assert place.read(part.name) == b"rows"
    found = sorted(as_span(span) for commit in commits for span in commit.spans[SPLIT])
    assert records.now().counts.get("kept", {}).get("qa", 0) == len(found)
    assert records.now().done.get(SPLIT, Spans()).spans == Spans(found).spans
    return found


ALL = [((unit, 0), (unit + 1, 0)) for unit in range(END)]


def check(runs: list, conditional: bool, most: int = 400_000) -> int:
    """Check every world; return how many there are."""
    number, looked_at = 0, set()
    for world in worlds(runs, {}, conditional, most):
        number += 1
        owned = [epoch for told in world.told for epoch in told]
        assert len(set(owned)) == len(owned), "two runs own one epoch"
        if world.files not in looked_at:
            looked_at.add(world.files)
            check_files(dict(world.files), conditional)
        if all(world.over):
            check_nothing_is_left(dict(world.files), conditional)
    return number


def check_files(files: dict, conditional: bool) -> None:
    """Check what a reader finds, and what the next run makes of it."""
    found = run_alone(units, files, conditional)
    assert len(set(found)) == len(found), "a unit counts twice"
    go_on(files, conditional)
    assert run_alone(units, files, conditional) == ALL, "a unit is lost"


def check_nothing_is_left(files: dict, conditional: bool) -> None:
    go_on(files, conditional)
    commits = run_alone(lambda place: list(read_records(place).commits(place)), files, conditional)
    named = {part.name for commit in commits for part in commit.parts}
    assert {name for name in files if name.startswith("data/")} == named, "a part that does not count is left"


def go_on(files: dict, conditional: bool) -> None:
    for me in "def":  # the first may find that it finished the claim of a dead run, not its own
        run_alone(a_run(me, rest=lambda: None), files, conditional)


@pytest.mark.parametrize("conditional", [True, False])
def test_two_runs_that_know_nothing_of_each_other(conditional):
    assert check([a_run("a"), a_run("b")], conditional) > 10_000


@pytest.mark.parametrize("conditional", [True, False])
def test_a_write_that_is_tried_twice_at_once_beside_its_owner(conditional):
    """Ray may try a write again while the first try, thought dead, is still at it."""

    def second_try(place) -> None:
        with suppress(Lost):
            write(place, Ledger(place, 1), "c", 0, "a-0")

    assert check([a_run("a"), second_try], conditional) > 100
