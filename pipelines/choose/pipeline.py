"""Let one selector choose from a pool: pool and features -> selector -> the chosen rows, in the order of the picks."""

from pipelines.choose.card import ChoiceCard
from pipelines.choose.inputs import SelectorInputs
from pipelines.choose.job import ChooseJob
from pipelines.choose.spec import SelectorSpec
from pipelines.choose.tasks import CHOICE, choose
from pipelines.choose.view import PoolView
from pipelines.flow.board.pace import StillPace
from pipelines.flow.board.reporter import Reporter
from pipelines.ledger.artifacts import digest
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.records import State
from pipelines.run.output import output_place
from pipelines.run.pipeline import Pipeline
from pipelines.run.recipe import described


class ChooseRows(Pipeline):
    """Let the selector that `spec` names choose from a view of a pool, with all else that it asks for.

    Without output.path the artifact stands in `folder`, named by what decides it.
    """

    card = ChoiceCard()

    def __init__(
        self, job: ChooseJob, spec: SelectorSpec, view: PoolView, inputs: SelectorInputs, folder: str | None = None
    ):
        self.job, self.spec, self.view, self.inputs, self.cluster = job, spec, view, inputs, job.cluster
        self.recipe = described("choose", job, {"pool": view.key} | inputs.deciding, {}, [CHOICE])
        name = f"{folder}/choice-{spec.label}-{digest(self.recipe)}"
        self.place = output_place(job.output.path or name, job.storage, "")

    def left(self, state: State) -> list[str]:
        return [CHOICE] if state.lacks(CHOICE) else []

    def pace(self) -> StillPace:
        return StillPace(f"{self.job.selector} chooses from {self.view.pool.rows:,} rows")

    def stream(self, work: list[str], ledger: Ledger, report: Reporter) -> None:
        import ray

        from cluster.resources import whole_node_cpus

        task = ray.remote(choose).options(num_cpus=whole_node_cpus(1), max_retries=1)
        ray.get(task.remote(self.job, self.spec, self.view, self.inputs, ledger, report))
