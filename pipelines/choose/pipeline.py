"""Let one selector choose from a pool: pool and features -> selector -> the chosen rows, in the order of the picks."""

from pipelines.choose.card import COLUMNS, facts
from pipelines.choose.inputs import Given, Seen
from pipelines.choose.job import ChooseJob
from pipelines.choose.pace import ChoosePace
from pipelines.choose.spec import Named
from pipelines.choose.tasks import CHOICE, choose
from pipelines.counts import Counts
from pipelines.flow.reporter import Report
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.records import State
from pipelines.ledger.spans import Spans
from pipelines.run.card import card, show
from pipelines.run.pipeline import Pipeline, described, digest, output_place


class ChooseRows(Pipeline):
    """Let `selector` choose from what is `seen`, with all else it asks for (see Given).

    Without output.path the artifact stands in `folder`, named by what decides it.
    """

    def __init__(self, job: ChooseJob, selector: Named, seen: Seen, given: Given, folder: str | None = None):
        self.job, self.selector, self.seen, self.given, self.cluster = job, selector, seen, given, job.cluster
        self.run = described("choose", job, {"pool": seen.key} | given.deciding, {}, [CHOICE])
        name = f"{folder}/choice-{selector.label}-{digest(self.run)}"
        self.place = output_place(job.output.path or name, job.storage, "")

    def left(self, state: State) -> list[str]:
        return [] if state.done.get(CHOICE, Spans()).complete else [CHOICE]

    def pace(self) -> "ChoosePace":
        return ChoosePace(self.job.selector, self.seen.pool.rows)

    def stream(self, work: list[str], ledger: Ledger, report: Report) -> None:
        import ray

        from cluster.resources import whole_node_cpus

        task = ray.remote(choose).options(num_cpus=whole_node_cpus(1), max_retries=1)
        ray.get(task.remote(self.job, self.selector, self.seen, self.given, ledger, report))

    @staticmethod
    def card(run: dict, counts: Counts, title: str) -> str:
        what = f"Rows chosen by {run['config']['selector']}, made with `gristmill run select`."
        return card("selection", title, what, facts(run, counts), COLUMNS, "data/*.parquet")

    @staticmethod
    def show(run: dict, counts: Counts, title: str | None) -> None:
        show(title, facts(run, counts))
