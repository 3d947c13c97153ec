from dataclasses import replace

import pytest

from operators.errors import BadRequest
from operators.storage.base import END, InputFile
from operators.storage.filesystem import Place, StorageConfig
from pipelines.ledger import Commit, Ledger, Part, held


@pytest.fixture
def place(tmp_path):
    return Place(str(tmp_path / "out"), StorageConfig())


FILES = [InputFile("a", "/in/a", 10, "jsonl", "v1")]
COMMIT = Commit([], {"f": [((0, 0), (7, 0))]})


def opened(place, fingerprint=None, files=FILES, limited=False):
    ledger = Ledger(place)
    ledger.refuse_to_overwrite()
    ledger.open(fingerprint or {"styles": ["qa"]}, {"styles": ["qa"]}, files, limited)
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
    opened(place, {"styles": ["qa"], "chunk.max_tokens": 300}).commit("w-0", COMMIT)
    with pytest.raises(BadRequest, match=r"(?s)chunk.max_tokens: 300 there, 200 now.*output.path"):
        opened(place, {"styles": ["qa"], "chunk.max_tokens": 200})


def test_a_mistake_binds_nobody_before_the_first_commit(place):
    opened(place, {"styles": ["qa"]})
    opened(place, {"styles": ["medium"]}).commit("w-0", COMMIT)
    opened(place, {"styles": ["medium"]})


def test_parts_that_no_commit_names_are_removed_and_all_else_stays(place):
    ledger = opened(place)
    ours = [f"data/part-{'0' * 32}.parquet", f"data/part-{'1' * 32}.parquet", f"rejected/part-{'1' * 32}.parquet"]
    for name in (*ours, "data/mine.parquet"):
        place.publish(name, b"x")
    ledger.commit("w-0", Commit([Part(ours[0], 1, 1, "")], {}))
    opened(place)
    assert [place.exists(name) for name in (*ours, "data/mine.parquet")] == [True, False, False, True]


@pytest.mark.parametrize("name", ["data/mine.parquet", "README.md"])
def test_a_folder_with_files_of_others_is_refused_and_left_alone(place, name):
    place.publish(name, b"mine")
    with pytest.raises(BadRequest, match=f"{name}.*output.path"):
        opened(place)
    assert place.read(name) == b"mine"


def test_a_changed_input_file_is_refused_by_name_and_a_new_one_is_welcome(place):
    new, changed = replace(FILES[0], name="b"), replace(FILES[0], version="v2")
    opened(place).commit("w-0", COMMIT)
    opened(place, files=[*FILES, new])
    with pytest.raises(BadRequest, match=r"1 of its files have changed.*: b"):
        opened(place, files=[*FILES, replace(new, bytes=11)])
    with pytest.raises(BadRequest, match=r"files have changed.*: a"):
        opened(place, files=[changed, new])
    with pytest.raises(BadRequest, match="gone: b"):
        opened(place)


def test_with_a_limit_a_new_file_would_move_what_is_read(place):
    opened(place, limited=True).commit("w-0", COMMIT)
    with pytest.raises(BadRequest, match=r"files have changed.*: b"):
        opened(place, files=[*FILES, replace(FILES[0], name="b")], limited=True)


def test_two_runs_do_not_meet_in_one_artifact(place):
    with held(place), pytest.raises(BadRequest, match="another run is at work"), held(place):
        pass
    with held(place):
        pass
