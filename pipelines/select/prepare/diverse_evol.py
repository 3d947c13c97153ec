"""DiverseEvol: rounds in which the student itself says which rows are far from those it has learned.

    random first rows -> [ train the student from the base model -> embed the pool with it -> greedy k-center ] x rounds

Source: DiverseEvol, arXiv:2311.08182, algorithm 1.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b

from operators.errors import BadRequest
from operators.select.measure.likelihood import LikelihoodConfig
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.diverse_evol import DiverseEvolConfig
from operators.select.selectors.k_center import KCenterConfig
from operators.select.selectors.random import RandomConfig
from operators.storage.place import Place
from pipelines.choose.artifact import open_choice
from pipelines.choose.inputs import SelectorInputs
from pipelines.choose.pipeline import ChooseRows
from pipelines.choose.spec import SelectorSpec
from pipelines.choose.view import PoolView
from pipelines.measure.artifact import open_feature
from pipelines.measure.feature import Feature
from pipelines.measure.pipeline import MeasureRows
from pipelines.pool.artifact import PoolArtifact
from pipelines.run.output import Output
from pipelines.run.pipeline import Pipeline
from pipelines.select.features.table import FEATURES
from pipelines.select.job import SelectJob
from pipelines.select.measuring import Measuring
from pipelines.select.prepare.base import Staged
from pipelines.settings import identity
from pipelines.stock.models import resolve_model
from pipelines.train.student import Student, require_student


class PrepareDiverseEvol:
    """Run the rounds; then the selector is handed the positions of all of them. Keeps base.py:Preparation.

    A round's student embeds rows as the scorer would.
    """

    needs_target = False

    def __init__(self, job: SelectJob, spec: SelectorSpec, measuring: Measuring):
        self.job, self.spec, self.measuring = job, spec, measuring

    def check(self) -> None:
        """Raise BadRequest where nothing says how students are trained."""
        require_student(self.job.student, self.job.storage)

    def stages(self, pool: PoolArtifact, target: PoolArtifact | None) -> Staged[tuple[PoolView, SelectorInputs]]:
        rounds = Rounds(self.job, self.spec, self.measuring, pool)
        yield from rounds.stages()
        view = yield from self.measuring.of(pool, self.spec)
        return view, SelectorInputs(plain={"positions": rounds.positions})


@dataclass(frozen=True)
class Rounds:
    """The rounds of a choice: each pipeline of `stages` is run, then there are `positions`."""

    job: SelectJob
    spec: SelectorSpec
    measuring: Measuring
    pool: PoolArtifact

    def stages(self) -> Iterator[Pipeline]:
        """Choose first rows at random; then, round by round, train a student on all so far, embed the pool by it, and choose."""
        first, *others = self._sizes
        random = SelectorSpec("random", "random", RandomConfig(self.config.seed))
        yield self._choice(0, random, first, PoolView(self.pool, {}), SelectorInputs())
        for number, rows in enumerate(others, 1):
            student = self._student(number)
            yield from student.needs()
            embedding = self._embedding(student)
            yield embedding
            view = PoolView(self.pool, {"likelihood": open_feature(embedding.place)})
            inputs = SelectorInputs(plain={"labelled": self._positions(number)})
            yield self._choice(number, SelectorSpec("k_center", "k_center", KCenterConfig()), rows, view, inputs)

    @property
    def config(self) -> DiverseEvolConfig:
        return self.spec.block

    @property
    def positions(self) -> list[int]:
        """Give the positions of all rounds, in the order of the picks."""
        return self._positions(len(self._sizes))

    @property
    def _sizes(self) -> list[int]:
        budget = self.job.budget
        if budget.tokens is not None:
            raise BadRequest("diverse_evol chooses so many rows in each round. Give budget.rows or budget.share.")
        return self.config.sizes(Budget(budget).rows(self.pool.rows))

    def _choice(self, number: int, spec: SelectorSpec, rows: int, view: PoolView, inputs: SelectorInputs) -> ChooseRows:
        settings = {"selector": spec.label, "settings": identity(spec.block), "budget": BudgetConfig(rows=rows)}
        job = replace(self.job.choice(self.spec), **settings, output=Output(self._place(number)))
        return ChooseRows(job, spec, view, inputs)

    def _student(self, number: int) -> Student:
        """Give the student of a round, which learns all rows of the rounds before it, from the base model on."""
        rows = tuple(f"{self._place(before)}/data" for before in range(number))
        folder, job = f"{self._folder}/{number}", self.job
        return Student(job.student, rows, job.examples, job.prompting.template, folder, job.storage, job.cluster)

    def _embedding(self, student: Student) -> MeasureRows:
        """Measure the mean hidden states of a round's student."""
        job = self.job
        model, contents = resolve_model(student.model, job.storage)
        blocks = (LikelihoodConfig(embeddings=True), replace(job.scorer, path=model), job.prompting, job.examples)
        feature = Feature("likelihood", FEATURES["likelihood"].operator, blocks, {"model": contents})
        return self.measuring.stage(feature, self.pool)

    def _positions(self, rounds: int) -> list[int]:
        """Give the positions that were chosen in the first rounds."""
        places = (Place(self._place(number), self.job.storage) for number in range(rounds))
        return [position for place in places for position in open_choice(place).positions.tolist()]

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
