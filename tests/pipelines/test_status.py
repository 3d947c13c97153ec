from dataclasses import replace

import pytest

from operators.errors import BadRequest
from operators.storage.config import StorageConfig
from operators.storage.place import Place
from pipelines.ledger.lease import myself
from pipelines.ledger.reading import read_records
from pipelines.ledger.spans import Spans
from pipelines.ledger.tenure import claim
from pipelines.status import show_status
from tests.pipelines.ledger.finished import RUN, SPLITS, artifact


@pytest.fixture
def place(tmp_path):
    place = Place(str(tmp_path), StorageConfig())
    artifact(place)
    return place


def told(place) -> str:
    said = []
    show_status(place, said.append)
    return "\n".join(said)


def test_a_complete_artifact_is_told_with_what_failed(place):
    words = told(place)
    assert "complete, 2 splits of 2 input files" in words and "no run is at work" in words
    assert "1 units failed; `--retry failed`" in words


@pytest.mark.parametrize(("ending", "share"), [("", "at least 75%"), (".gz", "at least 50%")])
def test_of_an_artifact_that_is_begun_the_share_is_never_too_big(place, ending, share):
    """Of a packed file places are bytes of what it unpacks to, so what is done of it cannot be told."""
    records = read_records(place)
    begun = SPLITS[1].replace(".jsonl", f".jsonl{ending}")
    state = replace(records.now(), done={SPLITS[0]: records.now().done[SPLITS[0]], begun: Spans([((0, 0), (50, 0))])})
    claim(place, records, state, myself(), RUN | {"splits": [SPLITS[0], begun]})
    words = told(place)
    assert share in words and "1 of 2 splits" in words and "1 more are begun" in words and "goes on" in words


def test_of_a_pipeline_that_is_not_known_what_its_records_say_is_told(place):
    records = read_records(place)
    claim(place, records, records.now(), myself(), RUN | {"pipeline": "tally"})
    words = told(place)
    assert "complete, 2 splits" in words and "`gristmill run tally`, which is no pipeline here" in words


def test_where_no_run_has_begun_is_told(tmp_path):
    with pytest.raises(BadRequest, match="no run has begun there"):
        show_status(Place(str(tmp_path / "nowhere"), StorageConfig()))


def test_of_a_folder_each_artifact_in_it_is_told(tmp_path):
    for name in ("pool", "likelihood"):
        artifact(Place(str(tmp_path / name), StorageConfig()))
    (tmp_path / "notes").mkdir()
    first, second = told(Place(str(tmp_path), StorageConfig())).splitlines()
    assert "likelihood: complete" in first and "pool: complete" in second and "no run is at work" in second


def test_of_a_folder_an_artifact_whose_records_are_damaged_is_named(tmp_path):
    for name in ("pool", "likelihood"):
        artifact(Place(str(tmp_path / name), StorageConfig()))
    damaged = Place(str(tmp_path / "pool"), StorageConfig())
    for name in damaged.names("_gristmill/epochs"):
        damaged.publish(name, b"{")
    with pytest.raises(BadRequest, match=r"records of .*pool cannot be read"):
        told(Place(str(tmp_path), StorageConfig()))
