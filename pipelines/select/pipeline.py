"""Choose training data: records -> pool -> features -> selectors -> chosen rows, and a report that compares the choices.

Pool, features and choices stand in a folder that runs share, named by what decides them, so that another budget or another
selector measures nothing twice. What was chosen is copied to OUTPUT/data/LABEL.
Source: the comparison of selectors in arXiv:2410.09335, and the works that it names.
"""

from operators.examples.prompting import FRAMES, UNPLACED
from operators.models.device import may_use_gpu
from operators.storage.place import Place
from pipelines.choose.artifact import ChoiceArtifact
from pipelines.choose.spec import SelectorSpec
from pipelines.counts import Counts
from pipelines.flow.board.pace import StillPace
from pipelines.flow.board.reporter import Reporter
from pipelines.ledger.artifacts import digest
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.records import State
from pipelines.run.card import words_of
from pipelines.run.output import output_place
from pipelines.run.pipeline import Pipeline
from pipelines.run.recipe import described
from pipelines.select.card import SelectionCard
from pipelines.select.job import SelectJob, features_folder, specs_of
from pipelines.select.measuring import SETTINGS, TARGET
from pipelines.select.report import SHOWN, split_of
from pipelines.select.stages import Stages, choice_of
from pipelines.select.tasks import compare_choices
from pipelines.settings import identity


class Select(Pipeline):
    """Raises BadRequest for what cannot work, before anything is spent.

    Without output.path the artifact stands in `folder`, named by what decides it.
    """

    card = SelectionCard()

    def __init__(self, job: SelectJob, folder: str | None = None):
        self.job, self.cluster = job, job.cluster
        self.place = output_place(job.output.path or folder, job.storage, "runs/choice")
        self.specs = specs_of(job)
        self.declared = Stages(job, self.specs, features_folder(job, self.place), self.place)
        self.warnings = self.declared.warnings
        contents = {
            "selectors": [[spec.label, identity(spec.block)] for spec in self.specs],
            "features": self.declared.measuring.deciding,
            "target": self.declared.target and digest(self.declared.target.recipe),
        }
        self.splits = [split_of(spec.label) for spec in self.specs]
        self.recipe = described("select", job, contents, self.declared.pool.recipe["input"], self.splits)
        if not job.output.path:
            self.place = Place(f"{folder}/selection-{digest(self.recipe)}", job.storage)
        self.place.check_writable()
        self.shared = 0  # rows of the target that are in the pool too

    def stages(self) -> Stages:
        """Read the pool and the target, measure what the selectors read, and let them choose."""
        return self.declared

    def left(self, state: State) -> list[str]:
        return [split for split in self.splits if state.lacks(split)]

    def pace(self) -> StillPace:
        return StillPace("comparing the choices")

    def stream(self, work: list[str], ledger: Ledger, report: Reporter) -> None:
        """Compare the choices, and copy them."""
        import ray

        from cluster.resources import gpus, whole_node_cpus
        from cluster.workers import task

        on_gpu = gpus() > 0 and may_use_gpu(self.job.sentence.device)  # an encoder embeds what the page shows
        compare = task(compare_choices, {"num_cpus": whole_node_cpus(1), "num_gpus": int(on_gpu)}, max_retries=1)
        choices = [(spec, self._choice(spec)) for spec in self.specs]
        view, target = self.declared.measuring.shown(self.made, SHOWN), self.declared.opened_target(self.made)
        self.shared = ray.get(compare.remote(self.job, choices, view, target, work, ledger, report))

    def afterwards(self, counts: Counts) -> list[str]:
        pool = self.declared.measuring.pool(self.made)
        lines = pool.missing()
        if self.declared.target:
            lines += [f"{SETTINGS[TARGET]}: {line}" for line in self.declared.opened_target(self.made).missing()]
        lines += self._unplaced()
        if pool.repeated_ids:
            lines.append(
                f"{pool.repeated_ids:,} ids stand in several rows of the pool: ID@FILE:PLACE tells these apart"
            )
        excluded = ((spec.label, self._choice(spec).told["excluded"]) for spec in self.specs)
        lines += [
            f"{label} could not choose {sum(reasons.values()):,} rows: {words_of(reasons)}"
            for label, reasons in excluded
            if reasons
        ]
        if self.shared:
            lines.append(
                f"{self.shared:,} rows of the target are in the pool too: a selector may choose what it aims at"
            )
        return [f"note: {line}" for line in lines]

    def _unplaced(self) -> list[str]:
        """Tell what rows have and the templates no place for that rows are read by."""
        carries, own = self.declared.measuring.pool(self.made).carries, self.job.prompting.template
        kinds = {kind: rows for kind, rows in carries.items() if kind in UNPLACED}
        templates = dict.fromkeys(getattr(spec.block, "template", own) for spec in self.specs)  # LESS brings its own
        return [_without_place(template, words_of(kinds)) for template in templates] if kinds else []

    def _choice(self, spec: SelectorSpec) -> ChoiceArtifact:
        return ChoiceArtifact.open(self.made[choice_of(spec.label)], self.job.storage, spec.label)


def _without_place(template: str, kinds: str) -> str:
    """Say that a template has no place for `kinds`; of a model's own template the rows alone, tried out, can tell."""
    if template in FRAMES:
        return f"template {template} has no place for what some rows have: {kinds}"
    return f"a model's own chat template may have no place for what some rows have: {kinds}; the card of `pack` counts that"
