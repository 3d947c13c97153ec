"""Claiming, committing and folding, one run after another. What happens between the steps of several is in test_protocol."""

import pytest

from operators.storage.base import END
from operators.storage.config import StorageConfig
from operators.storage.place import Place
from pipelines.ledger.layout import CATALOGUE, COMMITS
from pipelines.ledger.lease import myself
from pipelines.ledger.ledger import Ledger, Lost, next_ledger
from pipelines.ledger.reading import data_parts, read_records
from pipelines.ledger.records import Commit, Part, State
from pipelines.ledger.spans import WHOLE, Spans
from pipelines.ledger.tenure import claim, folded, sweep, tidy

RUN = {"splits": ["f:0-9"]}


@pytest.fixture(params=["local", "s3"])
def place(request, tmp_path):
    if request.param == "local":
        return Place(str(tmp_path / "out"), StorageConfig())
    return Place(f"s3://corpus/{tmp_path.name}", request.getfixturevalue("s3"))


def begin(place):
    """Begin the next epoch with all that is there."""
    records = read_records(place)
    state = folded(next_ledger(place, records), records.state, records.tail) if records else State()
    return claim(place, records, state, myself(), RUN)


def commit(number: int, begin: int = 0, end: int = END) -> Commit:
    part = Part(f"data/part-00000001-{number:032x}.parquet", 3, 10, "ff")
    return Commit([part], {"f:0-9": [((begin, 0), (end, 0))]}, {"kept": {"qa": 3}})


def test_what_was_committed_is_there_for_the_next_run(place):
    begin(place).ledger.commit("w-0", commit(0, 0, 5))
    state = begin(place).state
    assert state.counts == {"kept": {"qa": 3}}
    assert state.done["f:0-9"].spans == [((0, 0), (5, 0))]


def test_commits_of_one_split_add_up_to_the_whole(place):
    ledger = begin(place).ledger
    ledger.commit("w-0", commit(0, 7))
    ledger.commit("w-1", commit(1, 0, 7))
    assert read_records(place).now().done["f:0-9"].complete


def test_the_second_commit_of_a_name_does_not_count(place):
    ledger = begin(place).ledger
    assert ledger.commit("w-0", commit(0))
    assert not ledger.commit("w-0", commit(1))
    assert data_parts(place) == {commit(0).parts[0].name}


def test_folding_changes_nothing_for_a_reader(place):
    tenure = begin(place)
    for number in range(3):
        tenure.ledger.commit(f"w-{number}", commit(number, number, number + 1))
    before = read_records(place)
    tenure.fold(at_least=1)
    after = read_records(place)
    assert after.now().done == before.now().done and after.now().counts == before.now().counts
    assert list(after.commits(place)) == list(before.commits(place))
    assert place.names(f"{COMMITS}/00000001") == [] and after.tail == {}


def test_a_folded_commit_that_comes_again_does_not_count_twice(place):
    tenure = begin(place)
    tenure.ledger.commit("w-4", commit(0))
    tenure.fold(at_least=1)
    tenure.ledger.commit("w-4", commit(1))
    assert read_records(place).now().counts == {"kept": {"qa": 3}}
    assert data_parts(place) == {commit(0).parts[0].name}


def test_what_a_run_writes_after_it_has_a_successor_does_not_count(place):
    first = begin(place)
    second = begin(place)
    first.ledger.commit("w-0", commit(0))
    assert not first.ledger.current() and second.ledger.current()
    assert read_records(place).now().done == {}
    with pytest.raises(Lost):
        first.fold(at_least=1)


def test_of_two_claims_to_one_epoch_one_is_lost(place):
    records = read_records(place)
    claim(place, records, State(), myself(), RUN)
    with pytest.raises(Lost, match="another run has begun"):
        claim(place, records, State(), myself(), RUN)


def test_parts_that_no_commit_names_are_swept_and_all_else_stays(place):
    tenure = begin(place)
    ours = [f"data/part-00000001-{n:032x}.parquet" for n in range(2)] + [f"rejected/part-00000001-{1:032x}.parquet"]
    later, mine = f"data/part-00000002-{2:032x}.parquet", "data/mine.parquet"
    for name in (*ours, later, mine):
        place.publish(name, b"x")
    tenure.ledger.commit("w-0", commit(0))
    tenure.fold(at_least=1)
    assert sweep(tenure) == ours[1:]
    assert [place.exists(name) for name in (*ours, later, mine)] == [True, False, False, True, True]


def test_tidying_leaves_one_epoch_and_the_catalogue(place):
    begin(place).ledger.commit("w-0", commit(0))
    tenure = begin(place)
    place.publish(f"{CATALOGUE}/00000001-{'0' * 32}.jsonl.zst", b"of a fold that died")
    before = read_records(place)
    tidy(tenure)
    after = read_records(place)
    assert (after.number, after.state) == (before.number, before.state)
    assert place.names(f"{COMMITS}/00000001") == [] and place.names(CATALOGUE) == tenure.state.catalogue


def test_a_state_survives_its_writing(place):
    state = State(
        {"a": Spans([WHOLE]), "b": Spans([((1, 2), (3, 0))])}, {}, {"kept": {"qa": 1}}, {"w": [[0, 4]]}, ["x"]
    )
    assert State.from_record(state.record()) == state
    assert state.holds("w-3") and not state.holds("w-4") and not state.holds("v-1")


def test_a_place_without_records_has_none(place):
    assert read_records(place) is None and data_parts(place) is None
    assert Ledger(place, 1).current() is False
