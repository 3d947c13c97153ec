"""A small chain of artifacts for the tests of score, reference, pretrain and dynamics."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from operators.storage.config import StorageConfig
from operators.storage.place import Place
from pipelines.config import compose
from pipelines.ledger.reading import read_records
from pipelines.pack.job import PackJob
from pipelines.pack.pipeline import PackDocuments
from pipelines.registry import PIPELINES
from pipelines.run.execute import run_pipeline
from tests.tiny_model import TRAINING_TEXT, make_tiny_model

WINDOW = 64


def silent(line: str) -> None:
    """Take what a run says, and show it to nobody."""


def run(name: str, *words: str, **how) -> Place:
    """Run a pipeline with settings."""
    entry = PIPELINES[name]
    pipeline = entry.pipeline_class()(compose(entry.job_class(), None, list(words)))
    return run_pipeline(pipeline, **{"say": silent, "tell": False} | how)


def make_packed(folder: Path, documents: int = 120, *words: str) -> Path:
    """Make a tiny model and packed rows: `folder`/model and `folder`/packed."""
    folder.mkdir(exist_ok=True)
    model = make_tiny_model(folder / "model", context_tokens=WINDOW)
    texts = [f"{TRAINING_TEXT[i % len(TRAINING_TEXT)]} Number {i}. " * (i % 4 + 1) for i in range(documents)]
    lines = [json.dumps({"id": str(i), "text": text}) for i, text in enumerate(texts)]
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    settings = [
        f"input.path={folder / 'corpus.jsonl'}",
        f"pack.tokenizer={model}",
        f"pack.window={WINDOW}",
        "pack.rows_per_part=40",
        f"output.path={folder / 'packed'}",
    ]
    run_pipeline(PackDocuments(compose(PackJob, None, [*settings, *words])), say=silent, tell=False)
    return folder


def table(place: Place) -> pa.Table:
    """Give the rows of an artifact's data, by the order of their ids."""
    parts = [part.name for commit in read_records(place).commits(place) for part in commit.parts]
    tables = [_read(place, name) for name in parts if name.startswith("data/")]
    return pa.concat_tables(tables, promote_options="default").sort_by("id")


def _read(place: Place, name: str) -> pa.Table:
    if name.endswith(".arrow"):
        return pa.ipc.open_file(pa.py_buffer(place.read(name))).read_all()
    return pq.read_table(pa.BufferReader(place.read(name)))


def place_of(path: Path) -> Place:
    return Place(str(path), StorageConfig())
