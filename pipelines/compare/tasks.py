"""The task of `compare`: a trained student answers the evaluation set, which gives one row of the comparison."""

import json
from dataclasses import dataclass, replace

import pyarrow as pa

from operators.examples.base import ExampleConfig
from operators.examples.prompting import PromptingConfig
from operators.select.evaluate.base import EvaluateConfig, metrics
from operators.select.measure.base import ModelConfig
from pipelines.flow.board.reporter import Reporter
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.publish import publish_part, table_name
from pipelines.ledger.records import Commit
from pipelines.ledger.spans import WHOLE
from pipelines.pool.artifact import PoolArtifact
from pipelines.stock.models import local_model


@dataclass(frozen=True)
class Exam:
    """A student to evaluate: its name, the split that it settles, its model, and what is known of its training."""

    name: str
    split: str
    model: str
    known: dict


@dataclass(frozen=True)
class Questions:
    """What all students are asked, and how."""

    pool: PoolArtifact
    config: EvaluateConfig
    model: ModelConfig
    prompting: PromptingConfig
    examples: ExampleConfig


def evaluate_student(exam: Exam, questions: Questions, ledger: Ledger, report: Reporter) -> None:
    """Evaluate a student, and commit what came out."""
    from operators.select.evaluate.evaluate import Evaluate

    with report.explaining():
        if not ledger.current():
            raise ledger.lost()
        model = replace(questions.model, path=local_model(exam.model, questions.pool.place.storage))
        report.unused_gpu_noted()
        evaluate = Evaluate(questions.config, model, questions.prompting, questions.examples)
        measured = metrics(evaluate(questions.pool.load(part)) for part in questions.pool.parts)
        row = {"id": exam.name, **exam.known, "metrics": json.dumps(measured)}
        part = publish_part(ledger, table_name(ledger, "data", "parquet"), pa.Table.from_pylist([row]))
        ledger.commit(f"{exam.name}-0", Commit([part], {exam.split: [WHOLE]}, {"kept": {"students": 1}}))
        report.add({"settled": {"kept": 1}})
