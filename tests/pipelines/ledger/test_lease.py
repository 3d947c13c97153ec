import signal
import subprocess
import sys
import time

import psutil
import pytest

from operators.errors import BadRequest
from operators.storage.config import StorageConfig
from operators.storage.place import Place
from pipelines.ledger import lease
from pipelines.ledger.layout import beats_file
from pipelines.ledger.lease import Keeper, at_work, myself, require_free
from pipelines.ledger.ledger import Lost
from pipelines.ledger.reading import Records, read_records
from pipelines.ledger.records import State, dumps
from pipelines.ledger.tenure import claim

RUN = {"splits": ["f:0-9"]}


@pytest.fixture
def place(tmp_path):
    return Place(str(tmp_path), StorageConfig())


def begun_by(place, owner, **beat) -> Records:
    """Begin an artifact as some process, whose last sign of life is as given."""
    claim(place, read_records(place), State(), owner, RUN)
    records = read_records(place)
    if beat:
        place.publish(beats_file(records.number), dumps(beat))
    return records


def dead() -> int:
    """Give the number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def elsewhere():
    return myself()._replace(boot="another machine", host="far-away")


def test_a_run_that_beats_here_is_left_alone(place):
    records = begun_by(place, myself(), beat=1, time=time.time())
    with pytest.raises(BadRequest, match=r"another run is at work on .*: process \d+ on .*output.path"):
        require_free(place, records, print)
    assert at_work(place, records) is True


def test_a_run_whose_process_is_gone_is_succeeded_at_once(place):
    records = begun_by(place, myself()._replace(pid=dead()), beat=1, time=time.time())
    require_free(place, records, pytest.fail)  # nothing is said: there is no waiting
    assert at_work(place, records) is False


def test_a_process_that_has_the_number_of_a_dead_one_is_not_it(place):
    records = begun_by(place, myself()._replace(started=1.0), beat=1, time=time.time())
    require_free(place, records, pytest.fail)
    assert at_work(place, records) is False


def test_a_run_that_said_goodbye_is_succeeded_at_once(place):
    records = begun_by(place, elsewhere(), released=True)
    require_free(place, records, pytest.fail)
    assert at_work(place, records) is False


def test_a_run_elsewhere_that_beats_is_left_alone(place, monkeypatch):
    records = begun_by(place, elsewhere(), beat=1, time=0.0)  # its clock may be wrong
    monkeypatch.setattr(time, "sleep", lambda _: place.publish(beats_file(1), dumps({"beat": 2, "time": 0.0})))
    said = []
    with pytest.raises(BadRequest, match="far-away"):
        require_free(place, records, said.append)
    assert "waiting up to 60 s" in said[0]


def test_a_run_elsewhere_that_beats_no_more_is_succeeded_in_the_end(place, monkeypatch):
    monkeypatch.setattr(lease, "DEAD_AFTER_S", 0.2)
    monkeypatch.setattr(lease, "LOOK_S", 0.01)
    said = []
    require_free(place, begun_by(place, elsewhere(), beat=1, time=time.time()), said.append)
    assert "waiting up to" in said[0] and "far-away" in said[0]


def test_a_run_that_is_stopped_here_is_succeeded_in_the_end(place, monkeypatch):
    monkeypatch.setattr(lease, "DEAD_AFTER_S", 0.2)
    said = []
    require_free(place, begun_by(place, myself(), beat=1, time=time.time() - 1), said.append)
    assert "waiting up to" in said[0]


def test_a_keeper_beats_and_says_goodbye(place, monkeypatch):
    monkeypatch.setattr(lease, "BEAT_S", 0.01)
    with Keeper(claim(place, None, State(), myself(), RUN)) as keeper:
        records = read_records(place)
        deadline = time.monotonic() + 20
        while keeper._beats < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert at_work(place, records) is True
    assert at_work(place, records) is False
    require_free(place, records, pytest.fail)


def test_a_keeper_stops_its_run_when_another_has_taken_over(place, monkeypatch):
    monkeypatch.setattr(lease, "BEAT_S", 0.01)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Ray Train leaves one of its own, which stops nothing
    keeper, began = Keeper(claim(place, None, State(), myself(), RUN)), time.monotonic()
    with pytest.raises(Lost, match="taken over"), keeper:
        claim(place, read_records(place), State(), myself(), RUN)
        for _ in range(2000):  # in one go it would be slept to its end, whoever interrupts
            time.sleep(0.01)
    assert time.monotonic() - began < 20, "it was not stopped"
    assert at_work(place, read_records(place)) is False  # it did not beat for its successor


def test_a_run_that_is_dead_and_not_yet_buried_is_succeeded_at_once(place):
    process = subprocess.Popen([sys.executable, "-c", ""])
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    owner = myself()._replace(pid=process.pid, started=psutil.Process(process.pid).create_time())
    records = begun_by(place, owner, beat=1, time=time.time())
    require_free(place, records, pytest.fail)
    assert at_work(place, records) is False
    process.wait()
