"""LESS from a pool to its choice: the warm-up, the gradients under each checkpoint, and what a second run makes anew."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.examples.prompting import PromptingConfig
from operators.learn.training.config import BatchConfig, LoraConfig, OptimizerConfig, ScheduleConfig
from operators.models.lora import MOMENTS_FILE, Moments
from operators.select.measure.base import ModelConfig
from operators.select.selectors import less
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.less import Less
from operators.storage.config import InputConfig, StorageConfig
from operators.storage.place import Place
from pipelines.choose.inputs import SelectorInputs
from pipelines.choose.spec import SelectorSpec
from pipelines.choose.view import PoolView
from pipelines.ledger.artifacts import Artifact, Reference, digest
from pipelines.ledger.reading import read_records
from pipelines.pool.artifact import PoolArtifact
from pipelines.pool.job import PoolJob
from pipelines.pool.pipeline import ReadPool
from pipelines.run.execute import run_pipeline
from pipelines.run.output import Output
from pipelines.run.pipeline import Pipeline
from pipelines.select.job import SelectJob
from pipelines.select.measuring import POOL, TARGET, Measuring
from pipelines.select.prepare.less.gradients import GradientStages
from pipelines.select.prepare.less.job import LessBlock, WarmUp
from pipelines.select.prepare.less.preparation import PrepareLess
from pipelines.stock.checkpoints import checkpoints
from tests.pipelines.chain import silent
from tests.tiny_model import make_tiny_model

STORAGE, WORDS = StorageConfig(), "mill river stone bread wheel frost flour grain village merchant".split()
ROWS, DIMENSIONS = 60, 256


def records(rows: int, seed: int, **more) -> list[dict]:
    """Make rows of which several have one id."""
    rng = np.random.default_rng(seed)
    said = [" ".join(rng.choice(WORDS, size=rng.integers(3, 12))) for _ in range(2 * rows)]
    return [{"id": n % 7, "instruction": said[2 * n], "output": said[2 * n + 1]} | more for n in range(rows)]


def pool_of(folder, name: str, rows: list[dict]) -> PoolArtifact:
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    job = PoolJob(InputConfig(path=str(folder / f"{name}.jsonl"), text_column=None), output=Output(str(folder / name)))
    return PoolArtifact.open(run_pipeline(ReadPool(job), say=silent, tell=False).url, STORAGE, "input")


def prepare(folder, **changes) -> PrepareLess:
    training = WarmUp(
        epochs=2,
        window=64,
        optimizer=OptimizerConfig(lr=1e-2, betas=[0.9, 0.999], weight_decay=0.0),
        schedule=ScheduleConfig(name="linear", warmup_steps=0),
        batch=BatchConfig(rows=4, micro_rows=2),
        lora=LoraConfig(rank=4),
    )
    block = LessBlock(dimensions=DIMENSIONS, warmup_share=0.4, training=training, **changes)
    spec = SelectorSpec("less", "less", block)
    job = SelectJob(scorer=ModelConfig(path=str(folder / "model")), prompting=PromptingConfig(max_tokens=512))
    return PrepareLess(job, spec, Measuring(job, [spec], str(folder / "features")))


Done = tuple[list[str], PoolView, SelectorInputs]


def run_here(pipeline: Pipeline) -> Place:
    return run_pipeline(pipeline, say=silent, tell=False)


def stages_made(prepared: PrepareLess, pool: PoolArtifact, target: PoolArtifact | None, run=run_here) -> dict:
    """Run the stages in their order; give what they made."""
    made = {POOL: reference(pool)} | ({TARGET: reference(target)} if target else {})
    for stage in prepared.stages():
        assert made.keys() >= set(stage.after)
        pipeline = stage.build(made)
        made[stage.name] = Reference(stage.makes, run(pipeline).url, digest(pipeline.recipe))
    assert made.keys() >= set(prepared.after)
    return made


def run_all(prepared: PrepareLess, pool: PoolArtifact, target: PoolArtifact | None) -> Done:
    """Run the stages; give the folders that they made, and what the selector is handed."""
    made = stages_made(prepared, pool, target)
    return [made[stage.name].url for stage in prepared.stages()], *prepared.inputs(made)


def reference(artifact: Artifact) -> Reference:
    return Reference(artifact.made_by, artifact.place.url, digest(read_records(artifact.place).recipe))


@pytest.fixture(scope="module")
def here(tmp_path_factory, ray_session):
    folder = tmp_path_factory.mktemp("less")
    make_tiny_model(folder / "model")
    return folder


@pytest.fixture(scope="module")
def pool(here) -> PoolArtifact:
    rows = records(ROWS, 0)
    rows[7] = {"id": "long", "instruction": "mill", "output": "river " * 600}
    return pool_of(here, "pool", rows)


@pytest.fixture(scope="module")
def target(here) -> PoolArtifact:
    copied = records(ROWS, 0)[3] | {"id": "copy", "subtask": "a"}
    return pool_of(here, "target", [copied, *records(3, 1, subtask="b"), *records(2, 2, subtask="a")])


@pytest.fixture(scope="module")
def done(here, pool, target) -> Done:
    return run_all(prepare(here), pool, target)


def files(folders: list[str]) -> dict[str, list[str]]:
    return {folder: sorted(Place(folder, STORAGE).names("data")) for folder in folders}


@pytest.mark.long
def test_each_epoch_of_the_warm_up_leaves_a_checkpoint_with_its_moments(done):
    folders, _, inputs = done
    warmup = next(folder for folder in folders if folder.endswith("-warmup"))
    names = checkpoints(Place(warmup, STORAGE))
    assert len(names) == 2
    moments = [Moments.load(f"{warmup}/{name}") for name in names]
    assert [each.learning_rate for each in moments] == pytest.approx(inputs.plain["weights"])
    first, second = inputs.plain["weights"]
    assert first == pytest.approx(3 * second, rel=0.5) and all(each.lora.rank == 4 for each in moments)
    assert all(f"{name}/{MOMENTS_FILE}" in Place(warmup, STORAGE).names(name) for name in names)


@pytest.mark.long
def test_gradients_stand_beside_the_rows_of_pool_and_target(done, tmp_path):
    _, view, inputs = done
    for each, rows in ((view, ROWS), (inputs.target, 6)):
        stored = each.stored(ExampleConfig(), tmp_path / str(rows))
        gradients = np.concatenate([stored.matrix("gradient_0"), stored.matrix("gradient_1")])
        assert gradients.shape == (2 * rows, DIMENSIONS) and gradients.dtype == np.float16
        missing = np.flatnonzero(np.isnan(gradients[:rows, 0])).tolist()
        assert missing == ([7] if rows == ROWS else [])
        lengths = np.linalg.norm(np.delete(gradients[:rows], missing, axis=0).astype(np.float64), axis=1)
        assert np.abs(lengths - 1).max() < 2e-3


@pytest.mark.long
def test_less_chooses_by_them(done, here, tmp_path):
    _, view, inputs = done
    pool, target = (each.stored(ExampleConfig(), tmp_path / name) for name, each in (("p", view), ("t", inputs.target)))
    choice = Less(prepare(here).spec.block, None, target, inputs.plain["weights"])(
        pool, Budget(BudgetConfig(share=1.0))
    )
    assert len(choice.positions) == ROWS - 1 and choice.excluded == {"too_long": 1}
    assert choice.notes["subtasks"] == {"a": 3, "b": 3}
    assert 3 in choice.positions[:15].tolist()  # it stands in the target too


@pytest.mark.long
def test_a_second_run_makes_nothing_anew_and_another_projection_trains_nothing(done, here, pool, target):
    folders, *_ = done
    before = files(folders)
    assert run_all(prepare(here), pool, target)[0] == folders and files(folders) == before
    other = prepare(here, projection_seed=1)
    made = stages_made(other, pool, target, run=lambda pipeline: pipeline.place)
    other = [made[stage.name].url for stage in other.stages()]
    assert other[:3] == folders[:3] and not set(other[3:]) & set(folders)


def test_what_two_selectors_need_alike_is_one_stage_and_what_differs_another(here):
    names = {
        label: {stage.name for stage in prepare(here, **changes).stages()}
        for label, changes in {
            "plain": {},
            "released": {"variant": "as_released"},
            "seed": {"seed": 1},
            "projected": {"projection_seed": 1},
        }.items()
    }
    of_warm_up = {
        name for name in names["plain"] if not any(word in name for word in ("gradient", "tokens", "lengths"))
    }
    assert {name.split(" ", 2)[2] for name in of_warm_up if name.startswith("less")} == {"rows", "packed", "warm-up"}
    shared = names["plain"] & names["released"]
    assert {name for name in of_warm_up if name.startswith("less")} <= shared
    assert not any("gradient" in name for name in shared)  # as released they are read otherwise
    assert not any(name.startswith("less") for name in names["plain"] & names["seed"])
    projected = names["plain"] & names["projected"]
    assert of_warm_up <= projected and not any("gradient" in name for name in projected)


@pytest.mark.long
def test_a_warm_up_that_was_made_anew_meanwhile_is_not_read(done, here, pool, target):
    prepared = prepare(here)
    made = stages_made(prepared, pool, target, run=lambda pipeline: pipeline.place)
    for stage in ("packed", "warm-up", "gradient 0 of pool"):
        (name,) = (name for name in made if name.endswith(stage) and name.startswith("less"))
        with pytest.raises(BadRequest, match="made anew with other settings meanwhile"):
            other = made | {name: Reference(made[name].made_by, made[name].url, "0")}
            prepared.inputs(other), *(stage.build(other) for stage in prepared.stages())


def test_epochs_that_as_released_has_no_weights_for_are_refused_before_anything_is_read(here):
    with pytest.raises(BadRequest, match=r"4 epochs.*has 2"):
        prepare(here, variant="as_released").check()


@pytest.mark.parametrize("score_eos", [None, True, False])
@pytest.mark.parametrize("variant", ["default", "as_released"])
def test_gradients_are_read_with_the_end_that_prompting_says_and_as_released_with_its_line_end(score_eos, variant):
    planned = []
    block = LessBlock(variant=variant)
    job = SelectJob(prompting=PromptingConfig(max_tokens=77, score_eos=score_eos))
    warm_up = SimpleNamespace(
        block=block,
        job=job,
        checkpoints=lambda trained: ["c/run-00000001-step-00000004"],
        model=("model", None),
    )
    measuring = SimpleNamespace(pipeline=lambda feature, pool: planned.append(feature))
    for kind in ("train", "target"):
        GradientStages(kind, warm_up, Reference("reference", "w", "0"), measuring, None, ExampleConfig()).stage(0)
    for feature in planned:
        gradients, _, prompting, _ = feature.blocks
        assert gradients.released == (variant == "as_released")
        assert (prompting.template, prompting.max_tokens, prompting.score_eos) == ("tulu", 77, score_eos)


@pytest.mark.long
def test_as_released_takes_a_sample_of_the_pool_for_its_target(here, pool, done, monkeypatch):
    monkeypatch.setattr(less, "PAPER_RATES", less.PAPER_RATES[:2])
    folders, view, inputs = run_all(prepare(here, variant="as_released"), pool, None)
    assert folders[:3] == done[0][:3]
    assert inputs.target.pool.rows == 24 and inputs.target.pool.key != view.pool.key
    assert view.features["gradient_0"].key != done[1].features["gradient_0"].key  # read with the released line end
