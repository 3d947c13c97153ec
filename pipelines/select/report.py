"""The report of a selection: what each selector chose from a pool, and how the choices differ."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from operators.examples.base import example_of
from operators.models.sentence_encoder import SentenceEncoder
from operators.select.choices import Chosen
from operators.select.choices import report as compared
from operators.select.choices.base import ChoicesReport
from pipelines.choose.artifact import ChoiceArtifact
from pipelines.choose.spec import SelectorSpec
from pipelines.choose.view import StoredPool, whole
from pipelines.pool.artifact import PoolArtifact
from pipelines.select.job import SelectJob

PAGE, MEASURES = "report.html", "report.json"
SHOWN = ("prompt_tokens", "answer_tokens")  # columns that are shown where they were measured
EMBEDDED = 1024  # characters of a row that are embedded for the page: it is no measure, and one book would take hours


def report_of(
    job: SelectJob,
    title: str,
    choices: list[tuple[SelectorSpec, ChoiceArtifact]],
    pool: StoredPool,
    facts: dict[str, Any],
) -> ChoicesReport:
    """Compare choices from a pool."""
    counts_N = {name: whole(pool, name) for name in SHOWN if pool.has(name)}
    chosen = [_chosen(spec, choice, counts_N, job) for spec, choice in choices]
    tables = pool.columns("id", "text", *counts_N)
    return compared(title, pool.rows, tables, chosen, job.report, TextEmbedder(job), facts)


def split_of(label: str) -> str:
    """Name the unit of work that a choice is."""
    return f"{label}:0-1"


def label_of(split: str) -> str:
    """Give the label of the choice that a unit of work is."""
    return split.rpartition(":")[0]


class TextEmbedder:
    """Embeds texts where rows bring no embedding; loaded when it is first asked."""

    def __init__(self, job: SelectJob):
        self.config = job.sentence
        self.encoder: SentenceEncoder | None = None

    def __call__(self, texts: list[str]) -> np.ndarray:
        config = self.config
        self.encoder = self.encoder or SentenceEncoder(config.model, config.batch_size, config.device, "sentence.model")
        return self.encoder.embed([text[:EMBEDDED] for text in texts])


def _chosen(spec: SelectorSpec, choice: ChoiceArtifact, counts_N: dict[str, pa.Array], job: SelectJob) -> Chosen:
    """Say what one selector chose."""
    scores = np.concatenate([np.empty(0), *(table["score"].to_numpy() for table in choice.tables())])
    return Chosen(
        name=spec.label,
        positions_M=choice.positions,
        rows=(_as_shown(table, counts_N, job) for table in choice.tables()),
        settings=asdict(spec.block),
        budget=job.budget.rows,
        scores_M=None if np.isnan(scores).all() else scores,
        excluded=choice.told["excluded"],
        notes=choice.told["notes"],
    )


def _as_shown(rows: pa.Table, counts_N: dict[str, pa.Array], job: SelectJob) -> pa.Table:
    examples = (example_of(json.loads(record), job.examples) for record in rows["record"].to_pylist())
    columns = {"id": rows["id"], "text": pa.array([example.spoken for example in examples], pa.large_string())}
    columns |= {name: counts.take(rows["position"].combine_chunks()) for name, counts in counts_N.items()}
    return pa.table(columns | ({"cluster": rows["cluster"]} if "cluster" in rows.column_names else {}))


def shared(pool: PoolArtifact, target: PoolArtifact) -> int:
    """Count the rows of a target whose content a row of the pool has."""
    aims = np.concatenate([target.load(part)["content"].to_numpy() for part in target.parts])
    found = np.zeros(len(aims), dtype=bool)
    for part in pool.parts:
        found |= np.isin(aims, pool.load(part)["content"].to_numpy())
    return int(found.sum())
