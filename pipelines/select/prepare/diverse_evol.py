"""DiverseEvol: rounds in which the student itself says which rows are far from those it has learned.

    random first rows -> [ train the student from the base model -> embed the pool with it -> greedy k-center ] x rounds

Source: DiverseEvol, arXiv:2311.08182, algorithm 1.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b

from cluster.claims import A_NODE, a_model_each
from operators.errors import BadRequest
from operators.models.device import may_use_gpu
from operators.select.measure.likelihood import LikelihoodConfig
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.diverse_evol import DiverseEvolConfig
from operators.select.selectors.k_center import KCenterConfig
from operators.select.selectors.random import RandomConfig
from pipelines.choose.artifact import ChoiceArtifact
from pipelines.choose.inputs import SelectorInputs
from pipelines.choose.pipeline import ChooseRows
from pipelines.choose.spec import SelectorSpec
from pipelines.choose.view import PoolView
from pipelines.ledger.artifacts import Reference
from pipelines.measure.artifact import FeatureArtifact
from pipelines.measure.feature import Feature
from pipelines.measure.pipeline import MeasureRows
from pipelines.pool.artifact import PoolArtifact
from pipelines.run.output import Output
from pipelines.run.stage import Made, Stage
from pipelines.select.features.table import FEATURES
from pipelines.select.job import SelectJob
from pipelines.select.measuring import POOL, Measuring
from pipelines.settings import identity
from pipelines.stock.models import resolve_model
from pipelines.train.student import Student, require_student, student_stages


class PrepareDiverseEvol:
    """Rounds; then the selector is handed the positions of all of them. Keeps base.py:Preparation.

    A round's student embeds rows as the scorer would.
    """

    needs_target = False

    def __init__(self, job: SelectJob, spec: SelectorSpec, measuring: Measuring):
        self.job, self.spec, self.measuring = job, spec, measuring

    def check(self) -> None:
        """Raise BadRequest where nothing says how students are trained, or how many rows each round has."""
        if self.job.budget.tokens is not None:
            raise BadRequest("diverse_evol chooses so many rows in each round. Give budget.rows or budget.share.")
        require_student(self.job.student, self.job.storage)

    def stages(self) -> Iterator[Stage]:
        """Choose first rows at random, then round after round: each is told by what the one before it came to."""
        first = Stage(self._named(0, "rows"), "choose", lambda made: self._rounds(made).first, (POOL,), A_NODE)
        yield replace(first, then=lambda made: self._round(1))
        yield from self.measuring.stages(self.spec)

    @property
    def after(self) -> list[str]:
        rounds = (self._named(number, "rows") for number in range(self.spec.block.rounds + 1))
        return [POOL, *rounds, *(stage.name for stage in self.measuring.stages(self.spec))]

    def inputs(self, made: Made) -> tuple[PoolView, SelectorInputs]:
        return self.measuring.view(made, self.spec), SelectorInputs(plain={"positions": self._rounds(made).positions})

    def _round(self, number: int) -> Iterator[Stage]:
        """Train a student on all rows so far, embed the pool by it, and choose what is far from them."""
        if number > self.spec.block.rounds:
            return
        student, embedding, rows = (self._named(number, what) for what in ("student", "embedding", "rows"))
        yield from student_stages(student, lambda made: self._rounds(made).student(number), (POOL,), self.job.student)
        yield Stage(
            embedding,
            "measure",
            lambda made: self._rounds(made).embedding(number),
            (POOL, student),
            a_model_each(self.job.features.copies, may_use_gpu(self.job.scorer.device)),
        )
        choosing = Stage(rows, "choose", lambda made: self._rounds(made).choice(number), (POOL, embedding), A_NODE)
        yield replace(choosing, then=lambda made: self._round(number + 1))

    def _rounds(self, made: Made) -> "Rounds":
        return Rounds(self.job, self.spec, self.measuring, self.measuring.pool(made), made)

    def _named(self, number: int, what: str) -> str:
        return named(self.spec, number, what)


def named(spec: SelectorSpec, number: int, what: str) -> str:
    """Name a stage of a round."""
    return f"{spec.label} round {number} {what}"


@dataclass(frozen=True)
class Rounds:
    """The rounds of a choice; what each makes can be built once what goes before it is there. Then there are `positions`."""

    job: SelectJob
    spec: SelectorSpec
    measuring: Measuring
    pool: PoolArtifact
    made: Made

    @property
    def first(self) -> ChooseRows:
        """Choose the first rows at random."""
        random = SelectorSpec("random", "random", RandomConfig(self.config.seed))
        return self._choice(0, random, PoolView(self.pool, {}), SelectorInputs())

    def choice(self, number: int) -> ChooseRows:
        """Choose the rows of a round: those that its student's embeddings show far from all before."""
        feature = FeatureArtifact.open(
            self.made[named(self.spec, number, "embedding")], self.job.storage, "diverse_evol"
        )
        inputs = SelectorInputs(plain={"labelled": self._positions(number)})
        k_center = SelectorSpec("k_center", "k_center", KCenterConfig())
        return self._choice(number, k_center, PoolView(self.pool, {"likelihood": feature}), inputs)

    def student(self, number: int) -> Student:
        """Give the student of a round, which learns all rows of the rounds before it, from the base model on."""
        rows = tuple(f"{rows.url}/data" for rows in self._rows(number))
        folder, job = f"{self._folder}/{number}", self.job
        return Student(job.student, rows, job.examples, job.prompting.template, folder, job.storage, job.cluster)

    def embedding(self, number: int) -> MeasureRows:
        """Measure the mean hidden states of a round's student."""
        job = self.job
        model, contents = resolve_model(self.made[named(self.spec, number, "student")].url, job.storage)
        blocks = (LikelihoodConfig(embeddings=True), replace(job.scorer, path=model), job.prompting, job.examples)
        feature = Feature("likelihood", FEATURES["likelihood"].operator, blocks, {"model": contents})
        return self.measuring.pipeline(feature, self.pool)

    @property
    def config(self) -> DiverseEvolConfig:
        return self.spec.block

    @property
    def positions(self) -> list[int]:
        """Give the positions of all rounds, in the order of the picks."""
        return self._positions(len(self._sizes))

    @property
    def _sizes(self) -> list[int]:
        return self.config.sizes(Budget(self.job.budget).rows(self.pool.rows))

    def _choice(self, number: int, spec: SelectorSpec, view: PoolView, inputs: SelectorInputs) -> ChooseRows:
        budget = BudgetConfig(rows=self._sizes[number])
        settings = {"selector": spec.label, "settings": identity(spec.block), "budget": budget}
        job = replace(self.job.choice(self.spec), **settings, output=Output(self._place(number)))
        return ChooseRows(job, spec, view, inputs)

    def _positions(self, rounds: int) -> list[int]:
        """Give the positions that were chosen in the first rounds."""
        choices = (ChoiceArtifact.open(rows, self.job.storage, "diverse_evol") for rows in self._rows(rounds))
        return [position for choice in choices for position in choice.positions.tolist()]

    def _rows(self, rounds: int) -> list[Reference]:
        return [self.made[named(self.spec, number, "rows")] for number in range(rounds)]

    def _place(self, number: int) -> str:
        return f"{self._folder}/{number}/rows"

    @cached_property
    def _folder(self) -> str:
        """Name the folder of the rounds by all that decides them."""
        job, base = self.job, self.job.student.model.path
        blocks = (self.config, job.budget, job.examples, job.prompting, job.student, job.scorer)
        model = base and resolve_model(base, job.storage)[1]
        deciding = [*map(identity, blocks), job.distinct, self.pool.key, model]
        digest = blake2b(json.dumps(deciding, sort_keys=True).encode(), digest_size=8).hexdigest()
        return f"{self.measuring.folder}/diverse-evol-{digest}"
