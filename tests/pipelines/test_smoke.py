"""Every config of a pipeline composes, and the smoke twins of a method run one after the other, as a newcomer runs them."""

import json
from pathlib import Path

import pytest

from operators.storage.place import Place
from pipelines.config import compose
from pipelines.ledger.proof.verify import verify
from pipelines.registry import PIPELINES
from pipelines.run.execute import run_pipeline
from tests.tiny_model import make_tiny_model

CONFIGS = Path("configs")
PASSAGES = CONFIGS / "rephrase" / "quickstart.jsonl"
REAL_MODEL = "runs/quickstart/SmolLM2-135M-Instruct"
SHORT = {
    "pack": [],
    "reference": ["steps=4", "workers.cpus=1"],
    "score": [],
    "pretrain": ["steps=4", "checkpoint.model_every_steps=2", "workers.cpus=1"],
    "dynamics": [],
}


@pytest.fixture
def tiny_model(tmp_path) -> Path:
    """A tiny model that knows the words of the passages."""
    texts = [json.loads(line)["text"] for line in PASSAGES.read_text().splitlines()]
    return make_tiny_model(tmp_path / "model", text=texts, vocabulary=1000, context_tokens=2048)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*/*.yaml")), ids=str)
def test_a_config_composes(path):
    assert compose(PIPELINES[path.parent.name].job_class(), str(path), [])


def test_the_passages_are_several_dozen_of_a_length_that_small_models_keep_in_mind():
    rows = [json.loads(line) for line in PASSAGES.read_text().splitlines()]
    assert len({row["id"] for row in rows}) == len({row["text"] for row in rows}) == len(rows) > 36
    assert all(40 <= len(row["text"].split()) <= 112 for row in rows)


@pytest.mark.usefixtures("ray_session")
def test_the_smoke_twins_of_selective_pretraining_run_one_after_the_other(tmp_path, tiny_model):
    for name, words in SHORT.items():
        smoke(name, tmp_path, tiny_model, *words)
    assert (tmp_path / "dynamics" / "report.html").stat().st_size > 10_000


@pytest.mark.usefixtures("ray_session")
@pytest.mark.long
def test_the_smoke_twin_of_select_runs(tmp_path, tiny_model):
    place = smoke("select", tmp_path, tiny_model, "selectors=[random,zip]", "report.sample=5")
    assert len(place.read("report.html")) > 10_000


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("ray_session")
def test_all_smoke_twins_run_as_they_stand_with_the_model_of_the_quickstart(tmp_path, smollm2_folder):
    for name in (*SHORT, "select", "compare"):
        place = smoke(name, tmp_path, smollm2_folder)
        assert name not in ("dynamics", "select", "compare") or len(place.read("report.html")) > 10_000


def smoke(name: str, folder: Path, model: Path, *words: str) -> Place:
    """Run a smoke config in another folder, with another model in the place of the quickstart's; its artifact must be whole."""
    entry, config = PIPELINES[name], folder / f"{name}.yaml"
    text = (CONFIGS / name / "smoke.yaml").read_text().replace("runs/smoke", str(folder))
    config.write_text(text.replace(REAL_MODEL, str(model)))
    job = compose(entry.job_class(), str(config), list(words))
    place = run_pipeline(entry.pipeline_class()(job), say=lambda line: None)
    assert verify(place).whole
    return place
