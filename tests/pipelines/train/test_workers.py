"""What training leaves in its artifact, and from where it goes on when some of that is gone. Without Ray: files only."""

from dataclasses import replace

import pytest

from operators.errors import BadRequest
from operators.learn.losses.config import LossConfig
from operators.learn.training.config import LoraConfig
from operators.storage.config import StorageConfig
from operators.storage.place import Place
from operators.tokens.rows import Packing
from pipelines.ledger.artifacts import load_table, parts_in_order
from pipelines.ledger.lease import myself, release
from pipelines.ledger.ledger import Lost, next_ledger
from pipelines.ledger.proof.repair import mend
from pipelines.ledger.proof.verify import verify
from pipelines.ledger.reading import read_records
from pipelines.ledger.records import State
from pipelines.ledger.tenure import claim, folded
from pipelines.pack.artifact import PackedArtifact
from pipelines.train.job import CheckpointConfig, ReferenceJob
from pipelines.train.pace import TrainPace
from pipelines.train.pipeline import Train
from pipelines.train.plan import Plan
from pipelines.train.states import newest_state
from pipelines.train.workers import Rank, publish

STEPS, EVERY = 12, 4
PLAN = Plan(
    ReferenceJob(checkpoint=CheckpointConfig(every_steps=EVERY, model_every_steps=6)),
    LossConfig(),
    PackedArtifact(Place("rows", StorageConfig()), Packing(8, False, "t", 10, 1), [], "key"),
    None,
    None,
    "rows/tokenizer",
    (),
    STEPS,
)


class Run(Train):
    """The pipeline without the checks of its constructor."""

    def __init__(self):
        self.plan = PLAN


def begin(place: Place) -> "claim":
    """Begin an epoch as execute.py does, after taking back what has to be done again."""
    records = read_records(place)
    ledger = next_ledger(place, records)
    state = folded(ledger, records.state, records.tail) if records else State()
    said = []
    state = Run().ready(place, ledger, state, said.append)
    return claim(place, records, state, myself(), {"pipeline": "reference", "splits": [PLAN.split]}), said


def steps(tenure, first: int, last: int, files, without: tuple[int, ...] = ()) -> None:
    """Do the steps after `first` up to `last`, committing where the plan says so; `without` have no target."""
    before, metrics = {"tokens_seen": first * 100, "tokens_trained": first * 60}, []
    for step in range(first + 1, last + 1):
        loss = None if step in without else 1 / step
        metrics.append({"step": step, "tokens_seen": step * 100, "tokens_trained": step * 60, "loss": loss})
        if PLAN.saves(step):
            for folder, name in (("state", "state.json"), ("model", "config.json")):
                (files / folder).mkdir(exist_ok=True)
                (files / folder / name).write_text(f"{folder} after step {step}")
            publish(
                tenure.ledger,
                PLAN,
                first,
                before,
                metrics,
                files / "state",
                files / "model" if PLAN.makes_model(step) else None,
            )
            first, before, metrics = step, metrics[-1], []


@pytest.fixture
def place(tmp_path):
    return Place(str(tmp_path / "out"), StorageConfig())


@pytest.fixture
def files(tmp_path):
    (tmp_path / "files").mkdir()
    return tmp_path / "files"


def finish(place, files) -> list[str]:
    """Go on to the end, and give what was said."""
    tenure, said = begin(place)
    steps(tenure, PLAN.done(tenure.state), STEPS, files)
    release(tenure.ledger, swept=False)
    return said


def check_whole(place) -> None:
    counts = read_records(place).now().counts
    assert counts["kept"]["steps"] == STEPS and counts["tokens"] == {"read": STEPS * 100, "trained": STEPS * 60}
    findings = verify(place)
    assert not findings.twice and not findings.damaged and not findings.unsettled and findings.rows["data"] == STEPS


def part_of(place, step: int, folder: str) -> str:
    """Name a part of the commit that ends with a step."""
    last = max(PLAN.span(0, step))
    (commit,) = (c for c in read_records(place).commits(place) if max(next(iter(c.spans.values()))[0]) == list(last))
    return next(part.name for part in commit.parts if part.name.startswith(folder))


def test_a_model_is_saved_where_it_is_due_whatever_the_states(place, files):
    finish(place, files)
    assert [folder.rpartition("-")[2] for folder in place.folders("checkpoints")] == ["00000006", "00000012"]
    check_whole(place)


@pytest.mark.parametrize("resumed_at", [None, 8])
@pytest.mark.parametrize(
    ("damaged", "folder"), [(4, "data"), (6, "checkpoints"), (8, "data"), (12, "data"), (12, "checkpoints")]
)
def test_damage_is_taken_back_with_what_followed_and_done_again_once(place, files, damaged, folder, resumed_at):
    if resumed_at:
        steps(begin(place)[0], 0, resumed_at, files)
    finish(place, files)
    place.publish(part_of(place, damaged, folder), b"gone")
    mend(place, verify(place), lambda line: None)
    finish(place, files)
    check_whole(place)


def test_a_run_goes_on_from_its_newest_state_and_says_what_is_done_again(place, files):
    steps(begin(place)[0], 0, 8, files)
    place.remove_folder(newest_state(place, 8))
    said = finish(place, files)
    assert said == ["note: the state after step 8 is gone, so the steps after 6 are done again"]
    check_whole(place)


def test_a_state_without_its_list_is_none(place, files):
    steps(begin(place)[0], 0, 8, files)
    place.remove(f"{newest_state(place, 8)}/state.json")
    assert newest_state(place, 8).endswith("step-00000006")


def test_a_damaged_state_is_named_with_what_to_do(place, files):
    tenure, _ = begin(place)
    steps(tenure, 0, 8, files)
    worker = Rank.__new__(Rank)
    worker.ledger = tenure.ledger

    class Trainer:
        def restore(self, folder):
            raise BadRequest(f"{(folder / 'state.json').read_text()} is damaged.")

    with pytest.raises(
        BadRequest, match=r"^state after step 8 is damaged\. .*/out/.*-step-00000008: remove that folder"
    ):
        worker._restore(Trainer(), newest_state(place, 8))


def test_a_checkpoint_knows_after_which_step_the_one_before_it_was_saved():
    saved = [step for step in range(1, STEPS + 1) if PLAN.makes_model(step)]
    assert saved == [6, 12] and [PLAN.model_before(step) for step in saved] == [0, 6]
    odd = replace(PLAN, steps=10, job=replace(PLAN.job, checkpoint=CheckpointConfig(model_every_steps=4)))
    saved = [step for step in range(1, 11) if odd.makes_model(step)]
    assert saved == [4, 8, 10] and [odd.model_before(step) for step in saved] == [0, 4, 8]
    own = replace(PLAN, steps=40, job=replace(PLAN.job, checkpoint=CheckpointConfig()))
    assert own.model_before(40) == 36 and own.makes_model(36)


def test_moments_are_of_adapters_only():
    with pytest.raises(BadRequest, match=r"Give lora\.rank"):
        ReferenceJob(checkpoint=CheckpointConfig(moments=True))
    assert ReferenceJob(checkpoint=CheckpointConfig(moments=True), lora=LoraConfig(rank=4)).lora.rank == 4


def test_two_states_are_kept(place, files):
    finish(place, files)
    assert [folder.rpartition("-")[2] for folder in place.folders("_gristmill/states")] == ["00000008", "00000012"]


def test_a_run_that_was_taken_for_dead_harms_no_state_of_its_successor(place, files):
    old, _ = begin(place)
    steps(old, 0, 4, files)
    new, _ = begin(place)
    steps(new, 4, 8, files)
    with pytest.raises(Lost):
        steps(old, 4, 6, files)
    with pytest.raises(Lost):
        from pipelines.train.states import drop_states

        drop_states(old.ledger, kept=(4, 6))
    assert newest_state(place, STEPS).endswith("step-00000008")
    steps(new, 8, STEPS, files)
    check_whole(place)


def test_a_step_without_a_target_has_a_null_loss_and_is_counted_where_people_look(place, files):
    tenure, _ = begin(place)
    steps(tenure, 0, STEPS, files, without=(2, 3, 9, 10, 11))
    records = read_records(place)
    parts = parts_in_order(place, records)
    tables = [load_table(place, part) for part in parts if part.name.startswith("data")]
    losses = dict(
        pair for table in tables for pair in zip(*table.select(["step", "loss"]).to_pydict().values(), strict=True)
    )
    assert sorted(step for step, loss in losses.items() if loss is None) == [2, 3, 9, 10, 11] and len(losses) == STEPS
    counts = records.now().counts
    assert counts["without_target"] == 5
    recipe = {"config": {"model": {"path": "m"}, "loss": None}, "splits": [PLAN.split]}
    told = dict(Train.card.facts(recipe, counts))
    assert told["steps without a target"] == "5: nothing was learned in them, their loss is null"
    assert "steps without a target" not in dict(Train.card.facts(recipe, counts | {"without_target": 0}))
    (note,) = Run().afterwards({"without_target": 5})
    assert note.startswith("note: 5 of 12 steps had no target") and Run().afterwards({"without_target": 3}) == []


def test_a_run_that_goes_on_tells_the_steps_without_a_target_of_its_own_steps(place, files, monkeypatch):
    tenure, _ = begin(place)
    steps(tenure, 0, 4, files, without=(1, 2))
    monkeypatch.setattr("pipelines.train.workers.train", lambda plan, ledger, report: None)
    run = Run()
    work = run.left(read_records(place).now())
    assert work == [4]
    run.stream(work, tenure.ledger, None)
    (note,) = run.afterwards({"without_target": 5})
    assert note.startswith("note: 5 of 8 steps of this run had no target")


def test_the_line_of_progress_says_where_a_step_had_no_target():
    latest = {"step": 3, "seconds": 1.0, "tokens_per_second": 100.0}
    counts = {"read": {"of_steps": 12}, "latest": latest}
    assert "| no target |" in TrainPace().line(counts)
    assert "| loss 0.5000 |" in TrainPace().line(counts | {"latest": latest | {"loss": 0.5}})
