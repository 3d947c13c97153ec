"""The stages of LESS before its choice: a warm-up of adapters on a random share of the pool, then gradients at its checkpoints.

    sample of the pool -> packed rows -> training, a checkpoint after each epoch -> gradients of pool and target under each

Each stage is an artifact of its own in the shared folder, named by what decides it, so a killed run goes on where it was and
another budget or target trains nothing anew. Source: LESS, arXiv:2402.04333, section 4 and appendix B.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from hashlib import blake2b
from typing import Any

from cluster.session import ClusterConfig
from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.examples.prompting import PromptingConfig
from operators.learn.training.config import ModelConfig, TrainingConfig
from operators.models.engines.context import model_facts
from operators.select.measure.base import ModelConfig as Scorer
from operators.select.measure.gradients.config import GradientsConfig
from operators.select.selectors.base import BudgetConfig
from operators.select.selectors.less import Less
from operators.select.selectors.random import RandomConfig
from operators.storage.base import InputConfig
from operators.storage.config import StorageConfig
from operators.tokens.pack import PackConfig
from pipelines.choose.inputs import Given, Seen
from pipelines.choose.job import ChooseJob
from pipelines.choose.pipeline import ChooseRows
from pipelines.choose.spec import Named
from pipelines.config import identity
from pipelines.ledger.artifacts import finished, load_table, parts_in_order
from pipelines.measure.artifact import open_feature
from pipelines.measure.feature import Feature
from pipelines.measure.job import MeasureJob
from pipelines.measure.pipeline import MeasureRows
from pipelines.pack.artifact import open_packed
from pipelines.pack.job import PackJob
from pipelines.pack.pipeline import PackDocuments
from pipelines.pool.artifact import PoolArtifact, open_pool
from pipelines.pool.job import PoolJob
from pipelines.pool.pipeline import ReadPool
from pipelines.run.output import Output
from pipelines.run.pipeline import Pipeline
from pipelines.run.recipe import digest
from pipelines.select.warmup import LessBlock
from pipelines.stock.models import checkpoints, local_model, resolve_model, step_of
from pipelines.train.job import CheckpointConfig, ReferenceJob, TrainData
from pipelines.train.pipeline import Train

WARMUP_STEPS = 0.03  # of all steps, in which the learning rate rises, where the schedule does not say it


@dataclass(frozen=True)
class LessStages:
    """What has to be run for a pool and its target, in `folder`. Raises BadRequest where the scorer cannot be trained, or
    the variant has no weights for so many epochs.

    Each pipeline of `needs` is to be run before the next is asked for; then `seen`, `target_seen` and `weights` are there.
    Without a target (as_released) it is a sample of the pool.
    """

    block: LessBlock
    scorer: Scorer
    examples: ExampleConfig
    max_tokens: int | None
    pool: PoolArtifact
    target: PoolArtifact | None
    folder: str
    storage: StorageConfig
    cluster: ClusterConfig
    copies: int | None = None

    def needs(self) -> Iterator[Pipeline]:
        Less(self.block, weights=[1.0] * self.epochs)  # what cannot be chosen by is refused before anything is spent
        yield self._warmup_rows
        yield self._packed
        yield self._warmup
        if self.released:
            yield self._target_rows
            yield self._target_pool
        for number in range(self.epochs):
            yield self._measured(number, "train")
            yield self._measured(number, "target")

    @property
    def epochs(self) -> int:
        return int(self.block.training.epochs)

    @property
    def released(self) -> bool:
        return self.block.variant == "as_released"

    @property
    def seen(self) -> Seen:
        """Open the pool with its gradients."""
        return self._seen("train")

    @property
    def target_seen(self) -> Seen:
        """Open the target with its gradients."""
        return self._seen("target")

    @property
    def weights(self) -> list[float]:
        """Read the mean learning rate of each epoch of the warm-up."""
        place, records = finished(self._warmup.place.url, self.storage, "less", self._warmup.name)
        rates = {}
        for part in parts_in_order(place, records):
            table = load_table(place, part)
            rates |= dict(zip(table["step"].to_pylist(), table["lr"].to_pylist(), strict=True))
        steps = self._warmup.plan.steps // self.epochs
        return [sum(rates[epoch * steps + step + 1] for step in range(steps)) / steps for epoch in range(self.epochs)]

    # A stage can be made only once those before it are there.

    @cached_property
    def _warmup_rows(self) -> ChooseRows:
        return self._chosen_at_random(self.block.seed, "warmup-rows")

    @cached_property
    def _target_rows(self) -> ChooseRows:
        return self._chosen_at_random(self.block.seed + 1, "target-rows")

    def _chosen_at_random(self, seed: int, stage: str) -> ChooseRows:
        rows = max(1, round(self.block.warmup_share * self.pool.rows))
        settings = RandomConfig(seed)
        job = ChooseJob(
            "random", identity(settings), BudgetConfig(rows=rows), examples=self.examples, **self._at(stage)
        )
        return ChooseRows(job, Named("random", "random", settings), Seen(self.pool, {}), Given())

    @cached_property
    def _packed(self) -> PackDocuments:
        model, window = self._model[0], self.block.training.window
        window = min(window, model_facts(local_model(model, self.storage)).context_tokens or window)
        pack = PackConfig(tokenizer=model, window=window, template=self.block.template)
        rows = InputConfig(path=self._warmup_rows.place.url, text_column=None)
        return PackDocuments(PackJob(rows, pack, self._as_chosen, **self._at("packed")))

    @cached_property
    def _warmup(self) -> Train:
        training, packed = self.block.training, self._packed.place.url
        rows = open_packed(packed, self.storage, "less").rows
        epoch_steps = math.ceil(rows / training.batch.rows)
        steps, rising = self.epochs * epoch_steps, training.schedule.warmup_steps
        schedule = replace(
            training.schedule, warmup_steps=math.ceil(WARMUP_STEPS * steps) if rising is None else rising
        )
        settings = {field.name: getattr(training, field.name) for field in fields(TrainingConfig)}
        settings |= {"model": ModelConfig(self._model[0]), "schedule": schedule, "epochs": None, "steps": steps}
        job = ReferenceJob(
            **settings,
            data=TrainData(packed),
            checkpoint=CheckpointConfig(model_every_steps=epoch_steps, moments=True),
            workers=training.workers,
            **self._at("warmup"),
        )
        return Train(job)

    @cached_property
    def _target_pool(self) -> ReadPool:
        rows = InputConfig(path=self._target_rows.place.url, text_column=None)
        return ReadPool(PoolJob(rows, self._as_chosen, **self._at("target")))

    def _measured(self, number: int, kind: str) -> MeasureRows:
        """Measure the gradients of the pool, or of the target, under the checkpoint of one epoch."""
        folder = checkpoints(self._warmup.place)[number]
        pool, examples = self._measured_pool(kind)
        model, contents = self._model
        blocks = (
            GradientsConfig(
                f"{self._warmup.place.url}/{folder}", kind, self.block.dimensions, self.block.projection_seed
            ),
            examples,
            PromptingConfig(self.block.template, self.max_tokens),
            replace(self.scorer, path=model),
        )
        deciding = {"model": contents, "warm-up": digest(self._warmup.recipe), "step": step_of(folder)}
        feature = Feature(f"gradient_{number}", "gradients:Gradients", blocks, deciding)
        job = MeasureJob(feature.name, copies=self.copies, storage=self.storage, cluster=self.cluster)
        return MeasureRows(job, feature, pool, self.folder)

    def _measured_pool(self, kind: str) -> tuple[PoolArtifact, ExampleConfig]:
        """Give the pool that is measured, and how its records are read."""
        if kind == "train":
            return self.pool, self.examples
        if self.released:
            return open_pool(self._target_pool.place.url, self.storage, "less"), self._as_chosen
        return self.target, self.examples

    def _seen(self, kind: str) -> Seen:
        measured = [self._measured(number, kind) for number in range(self.epochs)]
        return Seen(measured[0].pool, {one.feature.name: open_feature(one.place) for one in measured})

    @property
    def _as_chosen(self) -> ExampleConfig:
        """Say how rows are read that were chosen: their columns have the usual names."""
        return ExampleConfig(turns=self.examples.turns)

    @cached_property
    def _model(self) -> tuple[str, str | None]:
        if not self.scorer.path:
            raise BadRequest(
                "less warms the scorer up and takes its gradients, and scorer.path is not given. Name a model."
            )
        return resolve_model(self.scorer.path, self.storage)

    def _at(self, stage: str) -> dict[str, Any]:
        """Give where a stage is made. Its folder is named by all that decides the warm-up."""
        output = Output(f"{self.folder}/less-{self._key}-{stage}")
        return {"output": output, "storage": self.storage, "cluster": self.cluster}

    @cached_property
    def _key(self) -> str:
        settings = {key: value for key, value in identity(self.block).items() if key.startswith(("training.", "warm"))}
        block = [settings, self.block.seed, self.block.template]
        deciding = json.dumps([block, identity(self.examples), self.pool.key, self._model[1]], sort_keys=True)
        return blake2b(deciding.encode(), digest_size=8).hexdigest()
