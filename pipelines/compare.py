"""Does a selector beat random? Choose by each, train a student on each choice, evaluate them all, and compare with error bars.

    select (random at several seeds among them) -> a student for each choice and seed -> evaluation -> comparison

Source: arXiv:2410.09335. Students on random rows are the yardstick: their mean and spread, never the best of them.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from hashlib import blake2b

import pyarrow as pa

from operators.choices.comparison import Comparison, Metric, compare
from operators.choices.comparison import Student as Trained
from operators.choices.comparison_page import comparison_page, comparison_table
from operators.errors import BadRequest
from operators.evaluate.base import EvaluateConfig, with_answers
from operators.settings import setting
from operators.storage.base import InputConfig
from operators.storage.filesystem import Place
from pipelines.artifacts import load_table, parts_in_order
from pipelines.config import identity
from pipelines.counts import Counts
from pipelines.evaluating import Exam, Questions, evaluate_student
from pipelines.ledger import Ledger
from pipelines.models import resolve_model
from pipelines.order import Spans
from pipelines.pipeline import Output, Pipeline, described, digest, output_place
from pipelines.pool import ReadPool, open_pool
from pipelines.progress import Report, clock
from pipelines.records import State, read_records
from pipelines.select import Select, features_folder
from pipelines.select_job import SelectJob, records
from pipelines.select_report import shared
from pipelines.student import Student, require_student
from pipelines.telling import card, show

PAGE, TABLE, NUMBERS = "report.html", "comparison.md", "comparison.json"
RANDOM, LEAST_RANDOM = "random", 2
METRICS = [Metric("accuracy", scale=100), Metric("macro_f1", scale=100), Metric("answer_loss", higher_is_better=False)]
COLUMNS = "`data/` has a row for each student: what it was trained on and what its evaluation gave. `report.html` compares them."


@dataclass
class CompareJob(SelectJob):
    """Everything `gristmill run compare` can be told."""

    evaluation: InputConfig = field(default_factory=records)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    random_seeds: int = setting(5, "random choices, each with a student: their spread is the error bar")
    student_seeds: int = setting(
        1, "students for each choice of the other selectors, each trained with a seed of its own"
    )

    def __post_init__(self):
        super().__post_init__()
        if self.random_seeds < LEAST_RANDOM:
            raise BadRequest(
                f"random_seeds is a number from {LEAST_RANDOM}, got {self.random_seeds}. A spread needs several."
            )
        if self.student_seeds < 1:
            raise BadRequest(f"student_seeds is a number from 1, got {self.student_seeds}.")


@dataclass(frozen=True)
class Run:
    """One student: the label of the choice that it learns, the selector as the comparison names it, and its seed."""

    label: str
    selector: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.label}-student-{self.seed}"

    @property
    def split(self) -> str:
        return f"{self.name}:0-1"


class Compare(Pipeline):
    """Raises BadRequest for what cannot work, before anything is spent."""

    quiet = True  # Ray Train tells at length of every worker

    def __init__(self, job: CompareJob):
        self.job, self.cluster = job, job.cluster
        self.place = output_place(job.output.path, job.storage, "runs/comparison")
        if job.evaluation.path is None:
            raise BadRequest("evaluation.path is not given: the examples that every student is evaluated on.")
        require_student(job.student, job.storage)
        self.folder = features_folder(job, self.place)
        self.select = Select(select_job(job, self.folder), self.folder)
        self.evaluation = ReadPool(job.pool(job.evaluation), self.folder)
        self.runs = list(runs_of(job, self.select))
        self.shared = 0  # rows of the evaluation set that are in the pool too
        self.place.check_writable()
        contents = {"choices": self.select.run["fingerprint"], "evaluation": digest(self.evaluation.run)}
        splits = [run.split for run in self.runs]
        self.run = described("compare", job, contents, self.select.run["input"], splits)

    def needs(self) -> Iterator[Pipeline]:
        """Choose, and train a student on each choice."""
        yield self.evaluation
        yield from self.select.needs()  # which tells where the choices are
        yield self.select
        for run in self.runs:
            yield from self._student(run).needs()

    def left(self, state: State) -> list[Run]:
        return [run for run in self.runs if not state.done.get(run.split, Spans()).complete]

    def of_all(self, work: list[Run]) -> Counts:
        return {"read": {"of_students": len(work)}}

    def pace(self) -> "ComparePace":
        return ComparePace()

    def stream(self, work: list[Run], ledger: Ledger, report: Report) -> None:
        """Evaluate the students, as many at a time as there is room for."""
        import ray

        from cluster.resources import model_share

        job = self.job
        pool = open_pool(self.evaluation.place.url, job.storage, "evaluation.path")
        config = with_answers(job.evaluate, map(pool.load, pool.parts), job.examples)
        questions = ray.put(Questions(pool, config, job.scorer, job.prompting, job.examples))
        self.shared = ray.get(ray.remote(shared).remote(self.select.stages.opened_pool(), pool))
        task = ray.remote(evaluate_student).options(max_retries=1, **model_share(None)[1])
        ray.get([task.remote(self._exam(run), questions, ledger, report) for run in work])

    def afterwards(self, counts: Counts) -> list[str]:
        note = f"note: {self.shared:,} rows of the evaluation set are in the pool too: students may have learned them"
        return [note] if self.shared else []

    def report(self, state: State) -> dict[str, bytes]:
        """Compare the students."""
        comparison = self._comparison()
        return {
            PAGE: comparison_page(comparison).encode(),
            TABLE: comparison_table(comparison).encode(),
            NUMBERS: json.dumps(comparison.data(), indent=1).encode(),
        }

    def _comparison(self) -> Comparison:
        rows = [row for part in data_of(self.place) for row in part.to_pylist()]
        trained = [
            Trained(row["selector"], row["seed"], row["rows"], row["tokens"], json.loads(row["metrics"]))
            for row in rows
        ]
        measured = [each for each in METRICS if any(student.metrics.get(each.name) is not None for student in trained)]
        told = {
            "evaluation rows that are in the pool too": max(row["shared"] for row in rows),
            "report of the choices": f"{self.select.place.url}/{PAGE}",
        }
        return compare(self.place.url.rpartition("/")[2], trained, measured, facts=told)

    def _student(self, run: Run) -> Student:
        job = self.job
        config, choice = replace(job.student, seed=job.student.seed + run.seed), self.select.choices[run.label].url
        model = job.student.model.path and resolve_model(job.student.model.path, job.storage)[1]
        deciding = [choice.rpartition("/")[2], identity(config), identity(job.examples), job.prompting.template, model]
        digest = blake2b(json.dumps(deciding, sort_keys=True).encode(), digest_size=8).hexdigest()
        folder, rows = f"{self.folder}/student-{digest}", (f"{choice}/data",)
        return Student(config, rows, job.examples, job.prompting.template, folder, job.storage, job.cluster)

    def _exam(self, run: Run) -> Exam:
        """Say where a student is, and what it was trained on."""
        model, storage = self._student(run).model, self.job.storage
        rows = read_records(self.select.place).now().counts["kept"][run.label]
        trained = read_records(Place(model, storage)).now().counts["tokens"]["trained"]
        known = {"selector": run.selector, "choice": run.label, "seed": run.seed, "rows": rows, "tokens": trained}
        known |= {"shared": self.shared}
        return Exam(run.name, run.split, resolve_model(model, storage)[0], known)

    @staticmethod
    def card(run: dict, counts: Counts, title: str) -> str:
        what = "Students trained on what several selectors chose, compared; made with `gristmill run compare`."
        return card("comparison", title, what, facts(run, counts), COLUMNS, "data/*.parquet")

    @staticmethod
    def show(run: dict, counts: Counts, title: str | None) -> None:
        show(title, facts(run, counts))


def select_job(job: CompareJob, folder: str) -> SelectJob:
    """Give the selection: random at several seeds, then the others. Raises BadRequest where nobody is compared."""
    others = [text for text in job.selectors if text != RANDOM]
    if not others:
        raise BadRequest("selectors names nobody to compare with random. `gristmill list` names them all.")
    settings = {each.name: getattr(job, each.name) for each in fields(SelectJob)}
    seeds = [f"{RANDOM}:seed={job.random.seed + seed}" for seed in range(job.random_seeds)]
    settings |= {"selectors": [*seeds, *others], "output": Output(), "features": replace(job.features, path=folder)}
    return SelectJob(**settings)


def runs_of(job: CompareJob, select: Select) -> Iterator[Run]:
    """List the students: one for each random choice, with a seed of its own, and some for each of the others."""
    for number, selector in enumerate(select.selectors):
        if number < job.random_seeds:
            yield Run(selector.label, RANDOM, number)
        else:
            yield from (Run(selector.label, selector.label, seed) for seed in range(job.student_seeds))


def data_of(place: Place) -> Iterator[pa.Table]:
    """Read the rows of an artifact, a part at a time."""
    return (load_table(place, part) for part in parts_in_order(place, read_records(place)))


def facts(run: dict, counts: Counts) -> list[tuple[str, str]]:
    """Give the totals that matter, as words."""
    students = f"{counts.get('kept', {}).get('students', 0):,} of {len(run['splits']):,}"
    return [("students", students), ("page", PAGE), ("table", TABLE)]


@dataclass
class ComparePace:
    """Shows how many students were evaluated."""

    began: float = field(default_factory=time.monotonic)

    def line(self, counts: Counts) -> str:
        done, of = counts.get("settled", {}).get("kept", 0), counts["read"].get("of_students", 0)
        return f"{clock(time.monotonic() - self.began)}  {done:,} of {of:,} students evaluated"
