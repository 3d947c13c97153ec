import pytest

from operators.errors import BadRequest
from operators.storage.config import StorageConfig
from operators.storage.place import Place
from pipelines.ledger.lease import myself
from pipelines.ledger.opening import Otherwise, chosen, find
from pipelines.ledger.proof.verify import verify
from pipelines.ledger.reading import data_parts, read_records
from pipelines.ledger.records import State
from pipelines.ledger.tenure import claim
from tests.pipelines.ledger.finished import RUN, artifact

CUTS = ("chunk.",)


@pytest.fixture
def place(tmp_path):
    return Place(str(tmp_path / "out"), StorageConfig())


def changed(**fingerprint) -> dict:
    return RUN | {"fingerprint": RUN["fingerprint"] | fingerprint}


def found(place, run, otherwise=Otherwise.REFUSE):
    return find(place, run, otherwise, CUTS, say=lambda words: None)


def test_the_same_run_goes_on_where_it_was(place):
    artifact(place)
    assert found(place, RUN)[0] == place


def test_a_run_of_another_kind_is_refused_and_told_what_differs_and_what_to_do(place):
    artifact(place)
    with pytest.raises(BadRequest, match=r"(?s)temperature: 0.5 there, 0.7 now.*output.path.*--new.*--fork"):
        found(place, changed(temperature=0.7))


def test_a_mistake_binds_nobody_before_the_first_commit(place):
    claim(place, None, State(), myself(), changed(temperature=9))
    assert found(place, RUN)[0] == place


def test_a_new_artifact_stands_beside_and_is_found_again(place):
    artifact(place)
    beside, records = found(place, changed(temperature=0.7), Otherwise.NEW)
    assert beside.url.startswith(f"{place.url}-") and records is None
    claim(beside, None, State(), myself(), changed(temperature=0.7))
    assert found(place, changed(temperature=0.7), Otherwise.NEW)[0] == beside
    assert found(place, changed(temperature=0.8), Otherwise.NEW)[0] != beside


def test_nothing_new_is_begun_where_the_artifact_fits(place):
    artifact(place)
    assert found(place, RUN, Otherwise.NEW)[0] == place


def test_a_fork_begins_with_a_copy_and_leaves_the_first_as_it_was(place):
    artifact(place)
    before = read_records(place)
    beside, records = found(place, changed(temperature=0.7), Otherwise.FORK)
    assert verify(beside).whole and len(data_parts(beside)) == len(data_parts(place))
    assert records.now().done == before.now().done and records.recipe["forked_from"]["place"] == place.url
    assert read_records(place) == before
    assert found(place, changed(temperature=0.7), Otherwise.FORK)[0] == beside


def test_a_fork_whose_copying_died_is_made_again(place, monkeypatch):
    artifact(place)
    monkeypatch.setattr("pipelines.ledger.opening.claim", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        found(place, changed(temperature=0.7), Otherwise.FORK)
    monkeypatch.undo()
    beside, _ = found(place, changed(temperature=0.7), Otherwise.FORK)
    assert verify(beside).whole


def test_a_fork_with_other_chunks_is_refused(place):
    artifact(place)
    with pytest.raises(BadRequest, match=r"chunk.max_tokens.*--new"):
        found(place, changed(**{"chunk.max_tokens": 100}), Otherwise.FORK)


def test_a_changed_input_file_is_refused_by_name_and_a_new_one_is_welcome(place):
    artifact(place)
    found(place, RUN | {"input": RUN["input"] | {"c.jsonl": [1, "1"]}})
    for other, words in (({"a.jsonl": [100, "2"]}, "come or gone: a.jsonl"), ({"b.jsonl": None}, "gone: b.jsonl")):
        files = {name: state for name, state in (RUN["input"] | other).items() if state}
        with pytest.raises(BadRequest, match=words):
            found(place, RUN | {"input": files})


def test_with_a_limit_a_new_file_would_move_what_is_read(place):
    artifact(place)
    with pytest.raises(BadRequest, match=r"gone: c.jsonl"):
        found(place, RUN | {"input": RUN["input"] | {"c.jsonl": [1, "1"]}, "all_at_once": True})


@pytest.mark.parametrize("name", ["data/mine.parquet", "README.md"])
def test_a_folder_with_files_of_others_is_refused_and_left_alone(place, name):
    place.publish(name, b"mine")
    with pytest.raises(BadRequest, match=f"{name}.*output.path"):
        found(place, RUN)
    assert place.read(name) == b"mine"


def test_one_can_ask_for_one_of_both_only():
    assert chosen(True, False) is Otherwise.NEW and chosen(False, True) is Otherwise.FORK
    with pytest.raises(BadRequest, match="both"):
        chosen(True, True)
