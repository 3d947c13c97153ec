"""Choose training data: records -> pool -> features -> selectors -> chosen rows, and a report that compares the choices.

Pool, features and choices stand in a folder that runs share, named by what decides them, so that another budget or another
selector measures nothing twice. What was chosen is copied to OUTPUT/data/LABEL.
Source: the comparison of selectors in arXiv:2410.09335, and the works that it names.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from operators.errors import BadRequest
from operators.selectors.base import Budget
from operators.storage.filesystem import Place
from pipelines.choose import COLUMNS as CHOSEN_COLUMNS
from pipelines.choose import open_choice
from pipelines.config import identity
from pipelines.counts import Counts
from pipelines.ledger import Ledger
from pipelines.naming import Named, named
from pipelines.order import Spans
from pipelines.pipeline import Pipeline, described, digest, output_place
from pipelines.progress import Report, clock
from pipelines.records import State
from pipelines.select_job import SelectJob
from pipelines.select_report import PAGE, label_of, report_choices, split_of
from pipelines.select_stages import Stages
from pipelines.selectors import SELECTORS
from pipelines.student import require_student
from pipelines.telling import card, show, words_of

COLUMNS = f"Each folder of `data/` is what one selector chose. {CHOSEN_COLUMNS}"


class Select(Pipeline):
    """Raises BadRequest for what cannot work, before anything is spent.

    Without output.path the artifact stands in `folder`, named by what decides it.
    """

    quiet = True  # Ray Train tells at length of every worker

    def __init__(self, job: SelectJob, folder: str | None = None):
        self.job, self.cluster = job, job.cluster
        self.place = output_place(job.output.path or folder, job.storage, "runs/choice")
        self.selectors = selectors_of(job)
        self.stages = Stages(job, self.selectors, features_folder(job, self.place), self.place)
        if any(one.name == "diverse_evol" for one in self.selectors):
            require_student(job.student, job.storage)
        contents = {
            "selectors": [[one.label, identity(one.block)] for one in self.selectors],
            "features": self.stages.deciding,
            "target": self.stages.target and digest(self.stages.target.run),
        }
        splits = [split_of(one.label) for one in self.selectors]
        self.run = described("select", job, contents, self.stages.pool.run["input"], splits)
        if not job.output.path:
            self.place = Place(f"{folder}/selection-{digest(self.run)}", job.storage)
        self.place.check_writable()
        self.choices: dict[str, Place] = {}
        self.shared = 0  # rows of the target that are in the pool too

    def needs(self) -> Iterator[Pipeline]:
        """Read the pool and the target, measure what the selectors read, and let them choose one after the other."""
        yield from self.stages.pools()
        self._require_enough()
        for selector in self.selectors:
            choosing = yield from self.stages.choosing(selector)
            self.choices[selector.label] = choosing.place

    def _require_enough(self) -> None:
        """Raise BadRequest where the pool has fewer rows than the budget, before anything is measured."""
        if self.job.budget.tokens is None:
            Budget(self.job.budget).rows(self.stages.opened_pool().rows)

    def left(self, state: State) -> list[str]:
        splits = [split_of(one.label) for one in self.selectors]
        return [split for split in splits if not state.done.get(split, Spans()).complete]

    def pace(self) -> "ReportPace":
        return ReportPace()

    def stream(self, work: list[str], ledger: Ledger, report: Report) -> None:
        """Compare the choices, and copy them."""
        import ray

        from cluster.resources import whole_node_cpus

        task = ray.remote(report_choices).options(num_cpus=whole_node_cpus(1), max_retries=1)
        choices = [(one, open_choice(self.choices[one.label])) for one in self.selectors]
        pool, target = self.stages.shown(), self.stages.opened_target()
        self.shared = ray.get(task.remote(self.job, choices, pool, target, work, ledger, report))

    def afterwards(self, counts: Counts) -> list[str]:
        rejected = self.stages.opened_pool().rejected
        lines = [f"{sum(rejected.values()):,} records are not in the pool: {words_of(rejected)}"] if rejected else []
        for label, place in self.choices.items():
            if excluded := open_choice(place).told["excluded"]:
                lines.append(f"{label} could not choose {sum(excluded.values()):,} rows: {words_of(excluded)}")
        if self.shared:
            lines.append(
                f"{self.shared:,} rows of the target are in the pool too: a selector may choose what it aims at"
            )
        return [f"note: {line}" for line in lines]

    @staticmethod
    def card(run: dict, counts: Counts, title: str) -> str:
        what = "Training data chosen by several selectors, made with `gristmill run select`."
        files = {label: f"data/{label}/*.parquet" for label in map(label_of, run["splits"])}
        return card("selection", title, what, facts(run, counts), COLUMNS, files)

    @staticmethod
    def show(run: dict, counts: Counts, title: str | None) -> None:
        show(title, facts(run, counts))


def features_folder(job: SelectJob, output: Place) -> str:
    """Give the folder that runs share. Raises BadRequest where none is named and the output is a whole bucket."""
    beside = output.url.rpartition("/")[0]
    if job.features.path is None and beside.endswith(":/"):
        raise BadRequest(
            f"output.path={output.url} is a whole bucket, and features stand beside the output. Give a folder of the bucket, or "
            "features.path."
        )
    return job.features.path or f"{beside}/features"


def selectors_of(job: SelectJob) -> list[Named]:
    """Read who chooses. Raises BadRequest where nobody does, one does twice, or no budget is given."""
    if not job.selectors:
        raise BadRequest(f"selectors is empty: who chooses? There are: {', '.join(SELECTORS)}.")
    if job.budget.tokens is None:
        Budget(job.budget)  # says so where none is given
    selectors = [named(text, job) for text in job.selectors]
    labels = [one.label for one in selectors]
    if twice := {label for label in labels if labels.count(label) > 1}:
        raise BadRequest(f"selectors names {', '.join(twice)} more than once. Name each once, or with other settings.")
    return selectors


def facts(run: dict, counts: Counts) -> list[tuple[str, str]]:
    """Give the totals that matter, as words."""
    chosen = counts.get("kept", {})
    return [*((label, f"{rows:,} rows") for label, rows in chosen.items()), ("page", PAGE)]


@dataclass
class ReportPace:
    """Shows that the choices are compared."""

    began: float = field(default_factory=time.monotonic)

    def line(self, counts: Counts) -> str:
        return f"{clock(time.monotonic() - self.began)}  comparing the choices"
