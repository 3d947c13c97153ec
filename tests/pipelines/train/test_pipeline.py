"""Training as its user runs it: artifacts, deaths of workers and drivers, and what is refused."""

import json
import os
import shutil
import signal
import sys

import pytest
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

from cluster.errors import NoCluster
from operators.errors import BadRequest
from operators.storage.config import StorageConfig
from pipelines.exits import RunFailed
from pipelines.ledger.proof.repair import mend
from pipelines.ledger.proof.verify import verify
from pipelines.ledger.reading import read_records
from pipelines.stock.checkpoints import checkpoints
from pipelines.stock.models import resolve_model
from tests.chaos.processes import Run, wait_for
from tests.pipelines.chain import WINDOW, make_packed, place_of, run, table
from tests.tiny_model import make_tiny_model

STEPS, EVERY = 60, 5
MODEL = ("model.layers=3", "model.heads=2", "model.width=128")  # slow enough to be killed on its way
TIMES = {"seconds", "tokens_per_second", "mfu"}  # what differs from run to run


@pytest.fixture(scope="module")
def here(tmp_path_factory, ray_session):
    folder = make_packed(tmp_path_factory.mktemp("pretrain"))
    scoring = [f"data.path={folder / 'packed'}", f"reference.models=[{folder / 'model'}]", "score.entropy=true"]
    run("score", *scoring, f"output.path={folder / 'scores'}")
    return folder


def words(here, output, *more) -> list[str]:
    return [
        f"data.path={here / 'packed'}",
        f"data.scores={here / 'scores'}",
        *MODEL,
        "optimizer.lr=0.01",
        "batch.rows=12",
        "batch.micro_rows=2",
        "workers.cpus=1",
        "loss.name=selective",
        f"steps={STEPS}",
        f"checkpoint.every_steps={EVERY}",
        "checkpoint.model_every_steps=30",
        f"output.path={output}",
        *more,
    ]


def curve(place) -> list[dict]:
    """Give what a run measured at each step, but for its times."""
    return table(place).drop_columns([name for name in TIMES if name in table(place).column_names]).to_pylist()


@pytest.fixture(scope="module")
def undisturbed(here):
    return run(
        "pretrain", *words(here, here / "undisturbed", f"data.validation={here / 'packed'}", "data.validation_rows=8")
    )


def test_a_run_leaves_models_that_others_load_and_a_row_for_every_step(undisturbed, here):
    rows = curve(undisturbed)
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert rows[-1]["loss_kept"] < rows[0]["loss_kept"] and rows[-1]["validation_loss"] < rows[5]["validation_loss"]
    assert all(row["kept"] <= 0.6 for row in rows) and rows[-1]["tokens_seen"] == STEPS * 12 * WINDOW
    folders = checkpoints(undisturbed)
    assert [folder.rpartition("-")[2] for folder in folders] == ["00000030", "00000060"]
    model = AutoModelForCausalLM.from_pretrained(f"{undisturbed.url}/{folders[-1]}")
    tokenizer = AutoTokenizer.from_pretrained(f"{undisturbed.url}/{folders[-1]}")
    assert model.config.vocab_size == len(tokenizer) and tokenizer.eos_token == "<|end|>"
    assert verify(undisturbed).whole
    assert resolve_model(undisturbed.url, StorageConfig())[0] == f"{undisturbed.url}/{folders[-1]}"
    assert len(load_dataset(undisturbed.url, split="train")) == STEPS


@pytest.mark.long
def test_a_run_goes_on_as_if_nothing_had_happened_after_its_worker_and_its_driver_were_killed(
    here, undisturbed, tmp_path
):
    settings = words(here, tmp_path / "out", f"data.validation={here / 'packed'}", "data.validation_rows=8")
    place = place_of(tmp_path / "out")
    command = [
        sys.executable,
        "-m",
        "pipelines",
        "run",
        "pretrain",
        "cluster.cpus=2",
        "cluster.object_store_mb=100",
        *settings,
    ]
    process = Run(command, tmp_path / "log", here, os.environ | {"PYTHONPATH": os.getcwd()})

    def done() -> int:
        process.family.look()
        records = read_records(place)
        return records.now().counts.get("kept", {}).get("steps", 0) if records else 0

    def workers() -> list:
        return [p for p, title in process.family.workers().items() if "_alone" in title]

    try:
        assert wait_for(lambda: done() >= 2 * EVERY or process.code is not None, 120), process.last_words()
        (worker,) = workers()
        worker.kill()
        before = done()
        assert wait_for(lambda: done() >= before + EVERY or process.code is not None, 120), process.last_words()
        assert process.code is None, f"over before its driver could be killed: {process.last_words()}"
        process.process.send_signal(signal.SIGKILL)
        process.process.wait()
    finally:
        process.family.end(patience_s=30)
    assert done() < STEPS
    run("pretrain", *settings)
    assert curve(place) == curve(undisturbed)
    assert verify(place).whole
    states = place.folders("_gristmill/states")
    assert len(states) <= 2


@pytest.mark.long  # test_ranks.py has two ranks in the short form, test_gpus.py Ray Train's two workers
def test_two_workers_train_like_one(here, undisturbed, tmp_path):
    place = run("pretrain", *words(here, tmp_path / "out", "workers.count=2", "steps=12", "schedule.name=constant"))
    alone = run("pretrain", *words(here, tmp_path / "alone", "steps=12", "schedule.name=constant"))
    for one, two in zip(curve(alone), curve(place), strict=True):
        assert one["loss"] == pytest.approx(two["loss"], rel=1e-4) and one["tokens_trained"] == two["tokens_trained"]


def test_a_loss_that_is_no_number_stops_the_run_and_the_last_state_stays(here, tmp_path):
    place = place_of(tmp_path / "out")
    with (
        pytest.raises(
            RunFailed, match=r"step \d+: .*rows?.* of shard \d+.*All that was committed before stays in"
        ) as told,
    ):
        run(
            "reference",
            *(
                word
                for word in words(here, tmp_path / "out", "optimizer.lr=1e30", "checkpoint.every_steps=1")
                if not word.startswith(("loss.", "data.scores"))
            ),
        )
    assert read_records(place).now().counts["kept"]["steps"] >= 1, told
    assert len(place.folders("_gristmill/states")) >= 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["loss.keep=60"], r"loss.keep is a share in \(0, 1\], got 60.* For 60% write 0.6"),
        (["data.scores=null"], r"loss.score=excess reads reference_loss, and data.scores is not given"),
        (["model.preset=llama-128m"], r"model.preset and model.layers are both given"),
        (["steps=null"], r"nothing says how long to train"),
        (["checkpoint.every_steps=0"], r"checkpoint.every_steps is a number of steps from 1"),
        (["workers.count=0"], r"workers.count is a number from 1"),
        (["data.path=nowhere"], r"data.path=.*nowhere is no artifact of gristmill"),
    ],
)
def test_bad_settings_are_told_before_anything_is_spent(here, tmp_path, changed, said):
    with pytest.raises(BadRequest, match=said):
        run("pretrain", *words(here, tmp_path / "out", *changed))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_model_is_refused(here, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps({"model_type": "llama"}))
    settings = [word for word in words(here, tmp_path / "out") if not word.startswith("model.")]
    with pytest.raises(BadRequest, match=r"is not a whole model: .*weights"):
        run("pretrain", *settings, f"model.path={tmp_path / 'model'}")


def test_training_goes_on_from_a_checkpoint_whose_tokenizer_is_that_of_the_rows(here, undisturbed, tmp_path):
    settings = [word for word in words(here, tmp_path / "out", "steps=2") if not word.startswith("model.")]
    other = make_tiny_model(tmp_path / "other", context_tokens=WINDOW, vocabulary=300)
    with pytest.raises(BadRequest, match="packed with another tokenizer"):
        run("pretrain", *settings, f"model.path={other}")
    place = run("pretrain", *settings, f"model.path={undisturbed.url}")
    assert curve(place)[0]["loss_kept"] < curve(undisturbed)[0]["loss_kept"]


@pytest.mark.long
def test_rows_states_and_models_live_in_object_storage(s3, here, ray_session):
    """What is damaged there is done again from the state before it, which is fetched."""
    settings = [f"storage.endpoint_url={s3.endpoint_url}", "workers.cpus=1", "batch.rows=4"]
    packed, out = "s3://corpus/training/packed", "s3://corpus/training/out"
    packing = [f"input.path={here / 'corpus.jsonl'}", f"pack.tokenizer={here / 'model'}", f"pack.window={WINDOW}"]
    run("pack", *packing, settings[0], f"output.path={packed}")
    command = [*settings, f"data.path={packed}", *MODEL, "steps=4", "checkpoint.every_steps=2", f"output.path={out}"]
    place = run("reference", *command)
    before = curve(place)
    last = max(
        read_records(place).commits(place),
        key=lambda commit: max(span[1][0] for s in commit.spans.values() for span in s),
    )
    place.publish(last.parts[0].name, b"gone")
    mend(place, verify(place), lambda line: None)
    run("reference", *command)
    assert curve(place) == before and verify(place).whole
    run(
        "score",
        settings[0],
        f"data.path={packed}",
        f"reference.models=[{out}]",
        "output.path=s3://corpus/training/scores",
    )


def test_more_workers_than_there_is_room_for_are_refused_at_once(here, tmp_path):
    with pytest.raises(NoCluster, match=r"workers.count=9 with 1 CPUs each want 9 CPUs, and the cluster has 2"):
        run("pretrain", *words(here, tmp_path / "out", "workers.count=9"))


def test_an_unfinished_run_is_no_reference_but_its_checkpoint_is(here, undisturbed, tmp_path):
    place = place_of(tmp_path / "out")
    shutil.copytree(undisturbed.url, place.url)
    (last,) = (c for c in read_records(place).commits(place) if any("step-00000060" in part.name for part in c.parts))
    place.publish(last.parts[0].name, b"gone")
    mend(place, verify(place), lambda line: None)
    with pytest.raises(
        BadRequest, match=r"is not finished: its last checkpoint is that of step 30 of 60. .* itself: (.*)"
    ) as told:
        resolve_model(place.url, StorageConfig())
    checkpoint = str(told.value).rpartition(": ")[2]
    assert resolve_model(checkpoint, StorageConfig())[0] == checkpoint
