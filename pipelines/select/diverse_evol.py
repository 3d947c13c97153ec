"""DiverseEvol: rounds in which the student itself says which rows are far from those it has learned.

    random first rows -> [ train the student from the base model -> embed the pool with it -> greedy k-center ] x rounds

Source: DiverseEvol, arXiv:2311.08182, algorithm 1.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b

import numpy as np

from operators.errors import BadRequest
from operators.examples.prompting import PromptingConfig
from operators.select.measure.base import ModelConfig
from operators.select.measure.likelihood import LikelihoodConfig
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.k_center import KCenterConfig
from operators.select.selectors.random import RandomConfig
from operators.settings import setting
from operators.storage.filesystem import Place
from pipelines.choose.artifact import open_choice
from pipelines.choose.inputs import Given, Seen
from pipelines.choose.job import ChooseJob
from pipelines.choose.pipeline import ChooseRows
from pipelines.choose.spec import Named
from pipelines.config import identity
from pipelines.measure.artifact import open_feature
from pipelines.measure.feature import Feature
from pipelines.measure.job import MeasureJob
from pipelines.measure.pipeline import MeasureRows
from pipelines.pool.artifact import PoolArtifact
from pipelines.run.output import Output
from pipelines.run.pipeline import Pipeline
from pipelines.stock.models import resolve_model
from pipelines.train.student import Student, StudentConfig


@dataclass
class DiverseEvolConfig:
    rounds: int = setting(10, "rounds after the first; each trains a student from the base model (student.*)")
    first: int | None = setting(None, "random rows of the first round; null: as many as in each of the others")
    seed: int = setting(0, "seed of the random rows")

    def __post_init__(self):
        if self.rounds < 1:
            raise BadRequest(
                f"diverse_evol.rounds is a number from 1, got {self.rounds}. For one k-center take k_center."
            )
        if self.first is not None and self.first < 1:
            raise BadRequest(f"diverse_evol.first is a number of rows from 1 or null, got {self.first}.")

    def sizes(self, rows: int) -> list[int]:
        """Share out the rows of a budget among the first round and the others. Raises BadRequest for too few."""
        first = self.first if self.first is not None else -(-rows // (self.rounds + 1))
        sizes = [first, *np.diff(np.linspace(0, rows - first, self.rounds + 1).astype(int)).tolist()]
        if min(sizes) < 1:
            raise BadRequest(
                f"diverse_evol has {self.rounds + 1} rounds and the budget is {rows:,} rows, {first:,} of them in the first. "
                "Lower diverse_evol.rounds or diverse_evol.first, or raise the budget."
            )
        return sizes


@dataclass(frozen=True)
class Rounds:
    """What has to be run before the rows of all rounds are known: each pipeline of `needs`, then there are `positions`.

    `job` is that of the final choice. `scorer` says how a student embeds rows; its model is the student of the round.
    """

    config: DiverseEvolConfig
    job: ChooseJob
    pool: PoolArtifact
    scorer: ModelConfig
    prompting: PromptingConfig
    student: StudentConfig
    features: str
    copies: int | None = None

    def needs(self) -> Iterator[Pipeline]:
        first, *others = self._sizes
        yield self._choice(
            0, Named("random", "random", RandomConfig(self.config.seed)), first, Seen(self.pool, {}), Given()
        )
        for number, rows in enumerate(others, 1):
            student = self._student(number)
            yield from student.needs()
            embedding = self._embedding(student)
            yield embedding
            seen = Seen(self.pool, {"likelihood": open_feature(embedding.place)})
            given = Given(plain={"labelled": self._positions(number)})
            yield self._choice(number, Named("k_center", "k_center", KCenterConfig()), rows, seen, given)

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

    def _choice(self, number: int, selector: Named, rows: int, seen: Seen, given: Given) -> ChooseRows:
        settings = {"selector": selector.label, "settings": identity(selector.block), "budget": BudgetConfig(rows=rows)}
        return ChooseRows(replace(self.job, **settings, output=Output(self._place(number))), selector, seen, given)

    def _student(self, number: int) -> Student:
        """Give the student of a round, which learns all rows of the rounds before it, from the base model on."""
        rows = tuple(f"{self._place(before)}/data" for before in range(number))
        folder, job = f"{self._folder}/{number}", self.job
        return Student(self.student, rows, job.examples, self.prompting.template, folder, job.storage, job.cluster)

    def _embedding(self, student: Student) -> MeasureRows:
        """Measure the mean hidden states of a round's student."""
        model, contents = resolve_model(student.model, self.job.storage)
        config = LikelihoodConfig(embeddings=True)
        blocks = (config, replace(self.scorer, path=model), self.prompting, self.job.examples)
        feature = Feature("likelihood", "likelihood:Likelihood", blocks, {"model": contents})
        job = MeasureJob(feature.name, copies=self.copies, storage=self.job.storage, cluster=self.job.cluster)
        return MeasureRows(job, feature, self.pool, self.features)

    def _positions(self, rounds: int) -> list[int]:
        """Give the positions that were chosen in the first rounds."""
        places = (Place(self._place(number), self.job.storage) for number in range(rounds))
        return [position for place in places for position in open_choice(place).positions.tolist()]

    def _place(self, number: int) -> str:
        return f"{self._folder}/{number}/rows"

    @cached_property
    def _folder(self) -> str:
        """Name the folder of the rounds by all that decides them."""
        blocks = (self.config, self.job.budget, self.job.examples, self.prompting, self.student, self.scorer)
        model = self.student.model.path and resolve_model(self.student.model.path, self.job.storage)[1]
        deciding = [*map(identity, blocks), self.job.distinct, self.pool.key, model]
        digest = blake2b(json.dumps(deciding, sort_keys=True).encode(), digest_size=8).hexdigest()
        return f"{self.features}/diverse-evol-{digest}"
