"""The task of `compare`: a trained student answers the evaluation set, which gives one row of the comparison."""

import json
from dataclasses import dataclass, replace

import pyarrow as pa

from operators.evaluate.base import EvaluateConfig, metrics
from operators.examples import ExampleConfig
from operators.measure.base import ModelConfig
from operators.prompting import PromptingConfig
from pipelines.ledger import Ledger, publish_part, table_name
from pipelines.models import local_model
from pipelines.order import WHOLE
from pipelines.pool import PoolArtifact
from pipelines.progress import Report
from pipelines.records import Commit


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


def evaluate_student(exam: Exam, questions: Questions, ledger: Ledger, report: Report) -> None:
    """Evaluate a student, and commit what came out."""
    from operators.evaluate.evaluate import Evaluate

    with report.explaining():
        if not ledger.current():
            raise ledger.lost()
        model = replace(questions.model, path=local_model(exam.model, questions.pool.place.storage))
        evaluate = Evaluate(questions.config, model, questions.prompting, questions.examples)
        measured = metrics(evaluate(questions.pool.load(part)) for part in questions.pool.parts)
        row = {"id": exam.name, **exam.known, "metrics": json.dumps(measured)}
        part = publish_part(ledger, table_name(ledger, "data", "parquet"), pa.Table.from_pylist([row]))
        ledger.commit(f"{exam.name}-0", Commit([part], {exam.split: [WHOLE]}, {"kept": {"students": 1}}))
        report.add({"settled": {"kept": 1}})
