import pytest

from operators.errors import BadRequest
from operators.storage.base import END
from operators.storage.filesystem import Place, StorageConfig
from pipelines.ledger import Commit, Ledger, Part


@pytest.fixture
def place(tmp_path):
    return Place(str(tmp_path / "out"), StorageConfig())


def opened(place, fingerprint=None):
    ledger = Ledger(place)
    ledger.open(fingerprint or {"styles": ["qa"]}, {"styles": ["qa"]})
    return ledger


def test_what_was_committed_is_there_for_the_next_run(place):
    commit = Commit([Part("data/a.parquet", 3, 10, "ff")], {"f:0-9": [((0, 0), (5, 2))]}, {"kept": {"qa": 3}})
    opened(place).commit("w-0", commit)
    again = opened(place)
    assert again.holds("w-0") and not again.holds("w-1")
    assert again.counts() == {"kept": {"qa": 3}}
    assert again.done()["f:0-9"].spans == [((0, 0), (5, 2))]


def test_commits_of_one_split_add_up_to_the_whole(place):
    ledger = opened(place)
    ledger.commit("w-0", Commit([], {"f": [((7, 0), (END, 0))]}))
    ledger.commit("w-1", Commit([], {"f": [((0, 0), (7, 0))]}))
    assert opened(place).done()["f"].complete


def test_a_run_of_another_kind_is_refused_and_told_what_differs(place):
    opened(place, {"styles": ["qa"], "chunk.max_tokens": 300})
    with pytest.raises(BadRequest, match=r"(?s)chunk.max_tokens: 300 there, 200 now.*output.path"):
        opened(place, {"styles": ["qa"], "chunk.max_tokens": 200})


def test_parts_that_no_commit_names_are_removed_and_the_others_stay(place):
    ledger = opened(place)
    for name in ("data/part-kept.parquet", "data/part-orphan.parquet", "rejected/part-orphan.parquet"):
        place.publish(name, b"x")
    ledger.commit("w-0", Commit([Part("data/part-kept.parquet", 1, 1, "")], {}))
    opened(place)
    assert place.exists("data/part-kept.parquet")
    assert not place.exists("data/part-orphan.parquet")
    assert not place.exists("rejected/part-orphan.parquet")
