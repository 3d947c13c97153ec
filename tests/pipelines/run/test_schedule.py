"""Stages: each when what it reads is there, side by side where there is room, resumed each by itself."""

import json

import pytest

from cluster.claims import A_CPU, Claims
from operators.errors import BadRequest
from pipelines.exits import RunFailed
from pipelines.ledger.proof.verify import verify
from pipelines.run.execute import run_pipeline
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


def test_stages_that_wait_for_what_nobody_makes_are_named(tmp_path):
    with pytest.raises(RunFailed, match="wait for what no stage makes: second"):
        run(Slip(tmp_path, "last", stages=(slip(tmp_path, "first"), slip(tmp_path, "second", after=("nobody",)))))


def test_the_stages_of_an_artifact_are_in_its_status(tmp_path):
    (tmp_path / "second.fails").touch()
    stages = (slip(tmp_path, "first"), slip(tmp_path, "second", after=("first",)), slip(tmp_path, "third", ("second",)))
    with pytest.raises(BadRequest):
        run(Slip(tmp_path, "last", stages=stages))
    told = []
    show_status(place_of(tmp_path / "last"), told.append)
    assert [line.split(";")[0].split() for line in told] == [
        ["first", "complete"],
        "second 0 of 1 splits of the input are settled, 0 more are begun: at least 0% of it".split(),
        ["third", "waits"],
    ]
    assert json.loads((tmp_path / "last/_gristmill/stages.json").read_text())[1]["after"] == ["first"]
