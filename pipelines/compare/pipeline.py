"""Does a selector beat random? Choose by each, train a student on each choice, evaluate them all, and compare with error bars.

    select (random at several seeds among them) -> a student for each choice and seed -> evaluation -> comparison

Source: arXiv:2410.09335. Students on random rows are the yardstick: their mean and spread, never the best of them.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from hashlib import blake2b

import pyarrow as pa

from cluster.claims import A_NODE, a_model_each
from operators.errors import BadRequest
from operators.models.device import may_use_gpu
from operators.select.comparison.page import comparison_page, comparison_table
from operators.select.comparison.statistics import Comparison, Metric, TrainedStudent, compare
from operators.select.evaluate.base import with_answers
from operators.storage.place import Place
from pipelines.choose.artifact import ChoiceArtifact
from pipelines.compare.card import NUMBERS, PAGE, TABLE, ComparisonCard
from pipelines.compare.job import CompareJob, select_job
from pipelines.compare.tasks import Exam, Questions, evaluate_student
from pipelines.compare.trials import Trial, trials_of
from pipelines.counts import Counts
from pipelines.flow.board.pace import CountPace
from pipelines.flow.board.reporter import Reporter
from pipelines.ledger.artifacts import digest, finished, load_table, parts_in_order
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.reading import read_records
from pipelines.ledger.records import State
from pipelines.pool.artifact import PoolArtifact
from pipelines.pool.pipeline import ReadPool
from pipelines.run.output import output_place
from pipelines.run.pipeline import Pipeline
from pipelines.run.recipe import described
from pipelines.run.stage import Made, Stage
from pipelines.select.job import features_folder
from pipelines.select.pipeline import Select
from pipelines.select.report import shared
from pipelines.select.stages import choice_of
from pipelines.settings import identity
from pipelines.stock.models import resolve_model
from pipelines.train.student import Student, require_student, student_stages

METRICS = [Metric("accuracy", scale=100), Metric("macro_f1", scale=100), Metric("answer_loss", higher_is_better=False)]

EVALUATION, SELECTION = "evaluation", "selection"


class Compare(Pipeline):
    """Raises BadRequest for what cannot work, before anything is spent."""

    card = ComparisonCard()

    def __init__(self, job: CompareJob):
        self.job, self.cluster = job, job.cluster
        self.place = output_place(job.output.path, job.storage, "runs/comparison")
        if job.evaluation.path is None:
            raise BadRequest("evaluation.path is not given: the examples that every student is evaluated on.")
        require_student(job.student, job.storage)
        self.folder = features_folder(job, self.place)
        self.select = Select(select_job(job, self.folder), self.folder)
        self.evaluation = ReadPool(job.pool(job.evaluation), self.folder)
        self.warnings = [*self.select.warnings, *self.evaluation.warnings]
        self.trials = list(trials_of(job, self.select))
        self.shared = 0  # rows of the evaluation set that are in the pool too
        self.place.check_writable()
        contents = {"choices": self.select.recipe["fingerprint"], "evaluation": digest(self.evaluation.recipe)}
        splits = [trial.split for trial in self.trials]
        self.recipe = described("compare", job, contents, self.select.recipe["input"], splits)

    def stages(self) -> Iterator[Stage]:
        """Choose, and train a student on each choice."""
        yield Stage(EVALUATION, "pool", self.evaluation.given)
        yield from self.select.stages()
        yield Stage(
            SELECTION, "select", self.select.given, tuple(choice_of(spec.label) for spec in self.select.specs), A_NODE
        )
        for trial in self.trials:
            yield from student_stages(
                trial.name, partial(self._student, trial), (choice_of(trial.label),), self.job.student
            )

    def left(self, state: State) -> list[Trial]:
        return [trial for trial in self.trials if state.lacks(trial.split)]

    def of_all(self, work: list[Trial]) -> Counts:
        return {"read": {"of_students": len(work)}}

    def pace(self) -> CountPace:
        return CountPace("of_students", "students evaluated")

    def stream(self, work: list[Trial], ledger: Ledger, report: Reporter) -> None:
        """Evaluate the students, as many at a time as there is room for."""
        import ray

        from cluster.workers import task

        job = self.job
        pool = self._evaluation
        config = with_answers(job.evaluate, map(pool.load, pool.parts), job.examples)
        questions = ray.put(Questions(pool, config, job.scorer, job.prompting, job.examples))
        self.shared = ray.get(ray.remote(shared).remote(self.select.declared.measuring.pool(self.made), pool))
        share = a_model_each(None, may_use_gpu(job.scorer.device)).share()
        evaluate = task(evaluate_student, share, max_retries=1)
        ray.get([evaluate.remote(self._exam(trial), questions, ledger, report) for trial in work])

    def afterwards(self, counts: Counts) -> list[str]:
        lines = [f"evaluation.path: {line}" for line in self._evaluation.missing()]
        if self.shared:
            lines.append(
                f"{self.shared:,} rows of the evaluation set are in the pool too: students may have learned them"
            )
        return [f"note: {line}" for line in lines]

    def report(self, state: State) -> dict[str, bytes]:
        """Compare the students."""
        comparison = self._comparison()
        return {
            PAGE: comparison_page(comparison).encode(),
            TABLE: comparison_table(comparison).encode(),
            NUMBERS: json.dumps(comparison.data(), indent=1).encode(),
        }

    @property
    def _evaluation(self) -> PoolArtifact:
        return PoolArtifact.open(self.made[EVALUATION], self.job.storage, "evaluation.path")

    def _comparison(self) -> Comparison:
        rows = [row for part in data_of(self.place) for row in part.to_pylist()]
        trained = [
            TrainedStudent(row["selector"], row["seed"], row["rows"], row["tokens"], json.loads(row["metrics"]))
            for row in rows
        ]
        measured = [each for each in METRICS if any(student.metrics.get(each.name) is not None for student in trained)]
        told = {
            "evaluation rows that are in the pool too": max(row["shared"] for row in rows),
            "report of the choices": f"{self.select.place.url}/{PAGE}",
        }
        return compare(self.place.url.rpartition("/")[2], trained, measured, facts=told)

    def _student(self, trial: Trial, made: Made) -> Student:
        job = self.job
        config, choice = replace(job.student, seed=job.student.seed + trial.seed), made[choice_of(trial.label)].url
        model = job.student.model.path and resolve_model(job.student.model.path, job.storage)[1]
        deciding = [choice.rpartition("/")[2], identity(config), identity(job.examples), job.prompting.template, model]
        digest = blake2b(json.dumps(deciding, sort_keys=True).encode(), digest_size=8).hexdigest()
        folder, rows = f"{self.folder}/student-{digest}", (f"{choice}/data",)
        return Student(config, rows, job.examples, job.prompting.template, folder, job.storage, job.cluster)

    def _exam(self, trial: Trial) -> Exam:
        """Say where a student is, and what it was trained on."""
        storage = self.job.storage
        choice = ChoiceArtifact.open(self.made[choice_of(trial.label)], storage, trial.label)
        student, records = finished(self.made[trial.name], storage, trial.name, "reference")
        rows, trained = choice.rows, records.now().counts["tokens"]["trained"]
        known = {"selector": trial.selector, "choice": trial.label, "seed": trial.seed, "rows": rows, "tokens": trained}
        known |= {"shared": self.shared}
        return Exam(trial.name, trial.split, resolve_model(student.url, storage)[0], known)


def data_of(place: Place) -> Iterator[pa.Table]:
    """Read the rows of an artifact, a part at a time."""
    return (load_table(place, part) for part in parts_in_order(place, read_records(place)))
