"""The report of a selection: what each selector chose from a pool, and how the choices differ."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa

from operators.examples.base import example_of
from operators.models.sentence_encoder import SentenceEncoder
from operators.select.choices import Chosen, page
from operators.select.choices import report as compared
from pipelines.choose.artifact import ChoiceArtifact
from pipelines.choose.inputs import Seen
from pipelines.choose.spec import Named
from pipelines.choose.view import whole
from pipelines.flow.board.reporter import Reporter
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.publish import publish_part, table_name
from pipelines.ledger.records import Commit
from pipelines.ledger.spans import WHOLE
from pipelines.pool.artifact import PoolArtifact
from pipelines.select.job import SelectJob

PAGE, MEASURES = "report.html", "report.json"
SHOWN = ("prompt_tokens", "answer_tokens")  # columns that are shown where they were measured
EMBEDDED = 1024  # characters of a row that are embedded for the page: it is no measure, and one book would take hours


def report_choices(
    job: SelectJob,
    choices: list[tuple[Named, ChoiceArtifact]],
    seen: Seen,
    target: PoolArtifact | None,
    work: list[str],
    ledger: Ledger,
    report: Reporter,
) -> int:
    """Publish a page that compares choices from a pool; then copy and commit those that are left to do.

    Gives the number of rows of the target that are in the pool too.
    """
    with report.explaining(), tempfile.TemporaryDirectory(prefix="gristmill-report-") as folder:
        if not ledger.current():
            raise ledger.lost()
        pool = seen.stored(job.examples, Path(folder, "pool"))
        counts_N = {name: whole(pool, name) for name in SHOWN if pool.has(name)}
        chosen = [_chosen(one, choice, counts_N, job) for one, choice in choices]
        facts = {"rows of the target that are in the pool too": shared(seen.pool, target)} if target else {}
        tables, title = pool.columns("id", "text", *counts_N), ledger.place.url.rpartition("/")[2]
        made = compared(title, pool.rows, tables, chosen, job.report, Encoder(job), facts)
        ledger.place.publish(PAGE, page(made).encode())
        ledger.place.publish(MEASURES, json.dumps(made.data(), indent=1).encode())
        for one, choice in ((one, choice) for one, choice in choices if split_of(one.label) in work):
            parts = [
                publish_part(ledger, table_name(ledger, f"data/{one.label}", "parquet"), table)
                for table in choice.tables()
            ]
            counts = {"kept": {one.label: choice.rows}}
            ledger.commit(f"{one.label}-0", Commit(parts, {split_of(one.label): [WHOLE]}, counts))
        return sum(facts.values())


def split_of(label: str) -> str:
    """Name the unit of work that a choice is."""
    return f"{label}:0-1"


def label_of(split: str) -> str:
    """Give the label of the choice that a unit of work is."""
    return split.rpartition(":")[0]


class Encoder:
    """Embeds texts where rows bring no embedding; loaded when it is first asked."""

    def __init__(self, job: SelectJob):
        self.config = job.sentence
        self.encoder: SentenceEncoder | None = None

    def __call__(self, texts: list[str]) -> np.ndarray:
        config = self.config
        self.encoder = self.encoder or SentenceEncoder(config.model, config.batch_size, config.device, "sentence.model")
        return self.encoder.embed([text[:EMBEDDED] for text in texts])


def _chosen(selector: Named, choice: ChoiceArtifact, counts_N: dict[str, pa.Array], job: SelectJob) -> Chosen:
    """Say what one selector chose."""
    scores = np.concatenate([np.empty(0), *(table["score"].to_numpy() for table in choice.tables())])
    return Chosen(
        name=selector.label,
        positions_M=choice.positions,
        rows=(_as_shown(table, counts_N, job) for table in choice.tables()),
        settings=asdict(selector.block),
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
