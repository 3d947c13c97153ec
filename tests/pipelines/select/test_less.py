"""LESS from a pool to its choice: the warm-up, the gradients under each checkpoint, and what a second run makes anew."""

import json

import numpy as np
import pytest

from cluster.session import ClusterConfig
from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.learn.training.config import BatchConfig, LoraConfig, OptimizerConfig, ScheduleConfig
from operators.models.lora import MOMENTS_FILE, Moments
from operators.select.measure.base import ModelConfig
from operators.select.selectors import less
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.less import Less
from operators.storage.base import InputConfig
from operators.storage.config import StorageConfig
from operators.storage.filesystem import Place
from pipelines.pool.artifact import PoolArtifact, open_pool
from pipelines.pool.job import PoolJob
from pipelines.pool.pipeline import ReadPool
from pipelines.run.execute import run_pipeline
from pipelines.run.output import Output
from pipelines.select.less import LessStages
from pipelines.select.warmup import LessBlock, WarmUp
from pipelines.stock.models import checkpoints
from tests.pipelines.chain import silent
from tests.tiny_model import make_tiny_model

STORAGE, WORDS = StorageConfig(), "mill river stone bread wheel frost flour grain village merchant".split()
ROWS, DIMENSIONS = 60, 256


def records(rows: int, seed: int, **more) -> list[dict]:
    rng = np.random.default_rng(seed)
    said = [" ".join(rng.choice(WORDS, size=rng.integers(3, 12))) for _ in range(2 * rows)]
    return [{"id": f"{seed}-{n}", "instruction": said[2 * n], "output": said[2 * n + 1]} | more for n in range(rows)]


def pool_of(folder, name: str, rows: list[dict]) -> PoolArtifact:
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    job = PoolJob(InputConfig(path=str(folder / f"{name}.jsonl"), text_column=None), output=Output(str(folder / name)))
    return open_pool(run_pipeline(ReadPool(job), say=silent, tell=False).url, STORAGE, "input")


def stages(folder, pool: PoolArtifact, target: PoolArtifact | None, **changes) -> LessStages:
    training = WarmUp(
        epochs=2,
        window=64,
        optimizer=OptimizerConfig(lr=1e-2, betas=[0.9, 0.999], weight_decay=0.0),
        schedule=ScheduleConfig(name="linear", warmup_steps=0),
        batch=BatchConfig(rows=4, micro_rows=2),
        lora=LoraConfig(rank=4),
    )
    block = LessBlock(dimensions=DIMENSIONS, warmup_share=0.4, training=training, **changes)
    scorer = ModelConfig(path=str(folder / "model"))
    return LessStages(
        block, scorer, ExampleConfig(), 512, pool, target, str(folder / "features"), STORAGE, ClusterConfig()
    )


def run_all(of: LessStages) -> list[str]:
    """Run each stage before the next is asked for; give the folders that they made."""
    return [run_pipeline(stage, say=silent, tell=False).url for stage in of.needs()]


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
def done(here, pool, target) -> tuple[LessStages, list[str]]:
    of = stages(here, pool, target)
    return of, run_all(of)


def files(folders: list[str]) -> dict[str, list[str]]:
    return {folder: sorted(Place(folder, STORAGE).names("data")) for folder in folders}


def test_each_epoch_of_the_warm_up_leaves_a_checkpoint_with_its_moments(done):
    of, folders = done
    warmup = next(folder for folder in folders if folder.endswith("-warmup"))
    names = checkpoints(Place(warmup, STORAGE))
    assert len(names) == 2
    moments = [Moments.load(f"{warmup}/{name}") for name in names]
    assert [each.learning_rate for each in moments] == pytest.approx(of.weights)
    assert of.weights[0] == pytest.approx(3 * of.weights[1], rel=0.5) and all(each.lora.rank == 4 for each in moments)
    assert all(f"{name}/{MOMENTS_FILE}" in Place(warmup, STORAGE).names(name) for name in names)


def test_gradients_stand_beside_the_rows_of_pool_and_target(done, tmp_path):
    of, _ = done
    for seen, rows in ((of.seen, ROWS), (of.target_seen, 6)):
        stored = seen.stored(ExampleConfig(), tmp_path / str(rows))
        gradients = np.concatenate([stored.matrix("gradient_0"), stored.matrix("gradient_1")])
        assert gradients.shape == (2 * rows, DIMENSIONS) and gradients.dtype == np.float16
        missing = np.flatnonzero(np.isnan(gradients[:rows, 0])).tolist()
        assert missing == ([7] if rows == ROWS else [])
        lengths = np.linalg.norm(np.delete(gradients[:rows], missing, axis=0).astype(np.float64), axis=1)
        assert np.abs(lengths - 1).max() < 2e-3


def test_less_chooses_by_them(done, tmp_path):
    of, _ = done
    pool, target = (
        seen.stored(ExampleConfig(), tmp_path / name) for name, seen in (("p", of.seen), ("t", of.target_seen))
    )
    choice = Less(of.block, None, target, of.weights)(pool, Budget(BudgetConfig(share=1.0)))
    assert len(choice.positions) == ROWS - 1 and choice.excluded == {"too_long": 1}
    assert choice.notes["subtasks"] == {"a": 3, "b": 3}
    assert 3 in choice.positions[:15].tolist()  # it stands in the target too


def test_a_second_run_makes_nothing_anew_and_another_projection_trains_nothing(done, here, pool, target):
    _, folders = done
    before = files(folders)
    assert run_all(stages(here, pool, target)) == folders and files(folders) == before
    other = stages(here, pool, target, projection_seed=1)
    made = [stage.place.url for stage in other.needs()]
    assert made[:3] == folders[:3] and not set(made[3:]) & set(folders)


def test_epochs_that_as_released_has_no_weights_for_are_refused_before_the_warm_up(here, pool):
    with pytest.raises(BadRequest, match=r"4 epochs.*has 2"):
        next(stages(here, pool, None, variant="as_released").needs())


def test_as_released_takes_a_sample_of_the_pool_for_its_target(here, pool, done, monkeypatch):
    monkeypatch.setattr(less, "PAPER_RATES", less.PAPER_RATES[:2])
    of = stages(here, pool, None, variant="as_released")
    folders = run_all(of)
    assert folders[:3] == done[1][:3]
    assert of.target_seen.pool.rows == 24 and of.target_seen.pool.key != of.seen.pool.key
    assert of.seen.features["gradient_0"].key == done[0].seen.features["gradient_0"].key
