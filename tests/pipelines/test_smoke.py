"""Every config of a pipeline composes, and the smoke twins of a method run one after the other, as a newcomer runs them."""

from pathlib import Path

import pytest

from operators.models.demo_model.docstrings import docstrings
from pipelines.config import compose
from pipelines.ledger.proof.verify import verify
from pipelines.quickstart import write_documents
from pipelines.registry import PIPELINES
from pipelines.run.execute import run_pipeline
from tests.tiny_model import make_tiny_model

CONFIGS = Path("configs")
SMALL = ["input.limit=60", "budget.rows=10", "report.sample=5"]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*/*.yaml")), ids=str)
def test_a_config_composes(path):
    assert compose(PIPELINES[path.parent.name].job_class(), str(path), [])


@pytest.mark.usefixtures("ray_session")
def test_the_smoke_twins_of_selective_pretraining_run_one_after_the_other(tmp_path):
    write_documents(tmp_path / "docstrings.jsonl")
    texts = [document["text"] for document, _ in zip(docstrings(), range(300), strict=False)]
    model = make_tiny_model(tmp_path / "model", text=texts, vocabulary=1000)
    short = {
        "pack": [f"input.path={tmp_path / 'docstrings.jsonl'}", "input.limit=300", f"pack.tokenizer={model}"],
        "reference": ["steps=4", "workers.cpus=1"],
        "score": [],
        "pretrain": ["steps=4", "checkpoint.model_every_steps=2", "workers.cpus=1"],
        "dynamics": [],
    }
    for name, words in short.items():
        entry = PIPELINES[name]
        job = compose(entry.job_class(), str(CONFIGS / name / "smoke.yaml"), words)
        _moved(job, tmp_path)
        place = run_pipeline(entry.pipeline_class()(job), say=lambda line: None)
        assert verify(place).whole
    assert (tmp_path / "dynamics" / "report.html").stat().st_size > 10_000


@pytest.mark.usefixtures("ray_session")
def test_the_smoke_twin_of_select_runs(tmp_path):
    documents, model = _corpus(tmp_path)
    _run("select", tmp_path, documents, *SMALL, f"scorer.path={model}", "selectors=[random,zip]")


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("ray_session")
def test_the_smoke_twins_of_selection_run(tmp_path):
    documents, model = _corpus(tmp_path)
    _run("select", tmp_path, documents, *SMALL, f"scorer.path={model}")
    students = [
        f"evaluation.path={tmp_path / 'docstrings.jsonl'}",
        f"student.tokenizer={model}",
        "random_seeds=2",
        "student.steps=2",
        "student.workers.cpus=1",
    ]
    _run("compare", tmp_path, documents, *SMALL, *students)


def _corpus(folder: Path) -> tuple[str, Path]:
    """Write documentation strings; give the setting that reads them, and a tiny model that knows their words."""
    write_documents(folder / "docstrings.jsonl")
    texts = [document["text"] for document, _ in zip(docstrings(), range(300), strict=False)]
    model = make_tiny_model(folder / "model", text=texts, vocabulary=1000, context_tokens=2048)
    return f"input.path={folder / 'docstrings.jsonl'}", model


def _run(name: str, folder: Path, *words: str) -> None:
    """Run a smoke config of selection in another folder; its artifact must be whole, with a report."""
    entry = PIPELINES[name]
    job = compose(entry.job_class(), str(CONFIGS / name / "smoke.yaml"), list(words))
    _moved(job, folder)
    place = run_pipeline(entry.pipeline_class()(job), say=lambda line: None)
    assert verify(place).whole
    assert (folder / Path(place.url).name / "report.html").stat().st_size > 10_000


def _moved(job, folder: Path) -> None:
    """Point what a config says of runs/smoke to another folder."""

    def moved(path):
        return path and path.replace("runs/smoke", str(folder))

    job.output.path = moved(job.output.path)
    if hasattr(job, "features"):
        job.features.path = moved(job.features.path)
    for name in ("path", "scores", "validation"):
        if hasattr(data := getattr(job, "data", None), name):
            setattr(data, name, moved(getattr(data, name)))
    if hasattr(job, "reference"):
        job.reference.models = [moved(model) for model in job.reference.models]
    if hasattr(job, "checkpoints"):
        job.checkpoints = [moved(model) for model in job.checkpoints]
