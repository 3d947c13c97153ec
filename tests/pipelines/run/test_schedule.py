"""Stages: each when what it reads is there, side by side where there is room, resumed each by itself."""

import json
import threading
import time
from contextlib import ExitStack
from dataclasses import replace

import pytest

from cluster.claims import A_CPU, Claims
from cluster.errors import NoCluster
from cluster.session import ClusterConfig
from operators.errors import BadRequest
from pipelines.exits import RunFailed
from pipelines.ledger.lease import Keeper, myself
from pipelines.ledger.proof.verify import verify
from pipelines.ledger.reading import read_records
from pipelines.ledger.records import State
from pipelines.ledger.tenure import claim
from pipelines.run.execute import run_pipeline
from pipelines.run.schedule import at_once
from pipelines.run.stage import Stage
from pipelines.status import show_status
from tests.pipelines.chain import place_of
from tests.pipelines.run.slips import Slip, slip

pytestmark = pytest.mark.usefixtures("ray_session")
WHOLE_CLUSTER = Claims(copies=2)


def run(pipeline: Slip) -> list[str]:
    said = []
    run_pipeline(pipeline, say=said.append, tell=False)
    return said


def test_stages_run_side_by_side_where_there_is_room(tmp_path):
    one = slip(tmp_path, "one", waits=("two.begun",))
    two = slip(tmp_path, "two", waits=("one.begun",))  # neither ends before both have begun
    run(Slip(tmp_path, "last", stages=(one, two)))
    assert all(verify(place_of(tmp_path / word)).whole for word in ("one", "two", "last"))


def test_stages_that_turn_out_to_take_less_run_side_by_side(tmp_path):
    one, two = Slip(tmp_path, "one", ("two.begun",)), Slip(tmp_path, "two", ("one.begun",))
    one.claims = two.claims = A_CPU
    stages = tuple(Stage(each.word, "slip", each.given, claims=WHOLE_CLUSTER) for each in (one, two))
    run(Slip(tmp_path, "last", stages=stages))
    assert all(verify(place_of(tmp_path / word)).whole for word in ("one", "two", "last"))


def test_so_many_stages_run_at_a_time_as_there_are_gpus(monkeypatch):
    for gpus, most in ((0, 16), (2, 16), (40, 40)):
        monkeypatch.setattr("cluster.resources.gpus", lambda gpus=gpus: gpus)
        assert at_once() == most


def test_stages_that_do_not_fit_side_by_side_run_one_after_the_other(tmp_path):
    first = slip(tmp_path, "first", claims=WHOLE_CLUSTER)
    second = slip(tmp_path, "second", claims=A_CPU)
    seen = []
    run_pipeline(
        Slip(tmp_path, "last", stages=(first, second)),
        say=lambda line: seen.append((line, (tmp_path / "second.begun").exists())),
        tell=False,
    )
    (told,) = [begun for line, begun in seen if line.startswith("done: first")]
    assert told is False


def test_what_a_stage_made_is_handed_to_those_after_it(tmp_path):
    handed = []

    def build(made):
        handed.append(dict(made))
        return Slip(tmp_path, "second")

    last = Slip(tmp_path, "last", stages=(slip(tmp_path, "first"), slip(tmp_path, "other")))
    second = slip(tmp_path, "second", after=("first",))
    last.declared = (type(second)("second", "slip", build, ("first",)), *last.declared)
    run(last)
    first = handed[0]["first"]
    assert (first.made_by, first.url) == ("slip", str(tmp_path / "first"))
    assert last.made["second"].url == str(tmp_path / "second") and len(last.made) == 3


def test_a_loop_adds_stages_as_it_goes(tmp_path):
    def following(number: int):
        return lambda made: () if number > 3 else [slip(tmp_path, f"round-{number}", then=following(number + 1))]

    last = Slip(tmp_path, "last", stages=(slip(tmp_path, "round-0", then=following(1)),))
    run(last)
    assert list(last.made) == [f"round-{number}" for number in range(4)]


def test_what_runs_beside_a_stage_that_fails_ends_and_the_same_command_does_the_rest(tmp_path):
    (tmp_path / "bad.fails").touch()
    stages = (
        slip(tmp_path, "bad", waits=("good.begun",)),
        slip(tmp_path, "good", waits=("bad.begun",)),
        slip(tmp_path, "never", after=("bad",)),
    )
    with pytest.raises(BadRequest, match="bad cannot be written"):
        run(Slip(tmp_path, "last", stages=stages))
    assert verify(place_of(tmp_path / "good")).whole
    assert not (tmp_path / "never").exists() and not (tmp_path / "last.begun").exists()
    (tmp_path / "bad.fails").unlink()
    (tmp_path / "good.begun").unlink()
    stages = (slip(tmp_path, "bad"), *stages[1:])
    run(Slip(tmp_path, "last", stages=stages))
    assert verify(place_of(tmp_path / "last")).whole and not (tmp_path / "good.begun").exists()


def test_what_came_out_may_be_too_little_to_go_on(tmp_path):
    def too_little(made):
        raise BadRequest("one row is too few")

    for _ in range(2):  # where it is made now, and where it is there
        with pytest.raises(BadRequest, match="one row is too few"):
            run(Slip(tmp_path, "last", stages=(slip(tmp_path, "first", then=too_little),)))
    assert verify(place_of(tmp_path / "first")).whole and not (tmp_path / "last.begun").exists()


def test_what_a_stage_has_to_say_is_told_with_its_name(tmp_path, capsys):
    first, second = Slip(tmp_path, "first"), Slip(tmp_path, "second")
    first.notes, second.warnings = ("a word was cut",), ["the ink is old", "the run has said so"]
    last = Slip(tmp_path, "last", stages=tuple(Stage(each.word, "slip", each.given) for each in (first, second)))
    last.warnings = ["the run has said so"]
    said = run(last)
    told = capsys.readouterr().err.splitlines()
    assert sorted(line for line in told if line.startswith("note: ")) == [
        "note: first: a word was cut",
        "note: second: the ink is old",
    ]
    assert said.count("note: the run has said so") == 1 and not any("a slip a second" in line for line in told)


def test_a_fault_in_a_stage_is_told_as_one(tmp_path):
    (tmp_path / "first.breaks").touch()
    with pytest.raises(RunFailed, match=r"^'first' ended by ValueError: first is torn\. The same command goes on\.$"):
        run(Slip(tmp_path, "last", stages=(slip(tmp_path, "first"),)))


def test_a_stage_that_lost_its_artifact_stops_and_waits_for_who_has_it(tmp_path):
    lost = Slip(tmp_path, "lost", waits=("go",))
    said, others = [], ExitStack()

    def take_over() -> None:
        """Begin an epoch as another run would, once the stage is at work."""
        while not (tmp_path / "lost.begun").exists():
            time.sleep(0.05)
        (tmp_path / "lost.begun").unlink()
        others.enter_context(Keeper(claim(lost.place, read_records(lost.place), State(), myself(), lost.recipe)))

    def say(line: str) -> None:
        said.append(line)
        if line.startswith("waiting"):
            (tmp_path / "go").touch()
            others.close()

    other = threading.Thread(target=take_over)
    other.start()
    stages = (Stage("lost", "slip", lost.given),)
    run_pipeline(Slip(tmp_path, "last", stages=stages), say=say, tell=False)
    other.join()
    assert f"waiting: another run is at work on {lost.place.url}" in said
    assert not (tmp_path / "lost.in_vain").exists()  # it was stopped, and did not end by itself
    assert (tmp_path / "lost.begun").exists() and verify(lost.place).whole


def test_a_stage_for_which_there_is_no_room_is_told_before_another_begins(tmp_path):
    workers = Claims(copies=3, cpus=1, together=True)
    stages = (slip(tmp_path, "first"), slip(tmp_path, "second", after=("first",), claims=workers))
    with pytest.raises(
        NoCluster, match=r"^second: workers\.count=3 with 1 CPUs each want 3 CPUs, and the cluster has 2"
    ):
        run(Slip(tmp_path, "last", stages=stages))
    assert not (tmp_path / "first.begun").exists()


def test_a_cluster_that_is_joined_may_grow_until_a_stage_wants_more_of_it(tmp_path):
    workers = Claims(copies=3, cpus=1, together=True)
    last = Slip(tmp_path, "last", stages=(slip(tmp_path, "first", claims=workers),))
    last.cluster = ClusterConfig(address="auto")
    said = run(last)
    assert any(line.startswith("note: first, when it is its turn: workers.count=3") for line in said)


def test_stages_that_wait_for_what_nobody_makes_are_named(tmp_path):
    with pytest.raises(RunFailed, match="wait for what no stage makes: second"):
        run(Slip(tmp_path, "last", stages=(slip(tmp_path, "first"), slip(tmp_path, "second", after=("nobody",)))))


def test_the_stages_of_an_artifact_are_in_its_status(tmp_path):
    (tmp_path / "second.fails").touch()
    stages = (
        slip(tmp_path, "first"),
        slip(tmp_path, "second", after=("first",)),
        replace(slip(tmp_path, "third", ("second",)), amount="12 pages"),
    )
    with pytest.raises(BadRequest):
        run(Slip(tmp_path, "last", stages=stages))
    told = []
    show_status(place_of(tmp_path / "last"), told.append)
    first, second, third = told
    assert first.split(";")[0].split() == ["first", "complete"] and first.endswith("· 1 slips")
    assert second.split(" · ")[0].split() == "second failed: second cannot be written".split()
    assert third == "third   waits · 12 pages"
    run_again = Slip(tmp_path, "last", stages=(*stages[:2], stages[2]))
    (tmp_path / "second.fails").unlink()
    run(run_again)
    told.clear()
    show_status(place_of(tmp_path / "last"), told.append)
    assert "failed" not in "".join(told[:3])
    assert json.loads((tmp_path / "last/_gristmill/stages.json").read_text())[1]["after"] == ["first"]
