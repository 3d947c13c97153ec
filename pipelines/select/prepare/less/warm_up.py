"""The warm-up of LESS: adapters of the scorer, trained on a random share of the pool, with a checkpoint after each epoch."""

import json
import math
from dataclasses import dataclass, fields, replace
from functools import cached_property
from hashlib import blake2b
from typing import Any

from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.learn.training.config import TrainedModelConfig, TrainingConfig
from operators.models.engines.context import model_facts
from operators.select.selectors.base import BudgetConfig
from operators.select.selectors.random import RandomConfig
from operators.storage.config import InputConfig
from operators.storage.place import Place
from operators.tokens.pack import PackConfig
from pipelines.choose.inputs import SelectorInputs
from pipelines.choose.job import ChooseJob
from pipelines.choose.pipeline import ChooseRows
from pipelines.choose.spec import SelectorSpec
from pipelines.choose.view import PoolView
from pipelines.ledger.artifacts import Reference, finished, load_table, parts_in_order
from pipelines.ledger.reading import Records
from pipelines.pack.artifact import PackedArtifact
from pipelines.pack.job import PackJob
from pipelines.pack.pipeline import PackDocuments
from pipelines.pool.artifact import PoolArtifact
from pipelines.run.output import Output
from pipelines.select.job import SelectJob
from pipelines.select.prepare.less.job import LessBlock
from pipelines.settings import identity
from pipelines.stock.checkpoints import checkpoints
from pipelines.stock.models import local_model, resolve_model
from pipelines.train.job import CheckpointConfig, ReferenceJob, TrainData
from pipelines.train.pipeline import Train

RISING_SHARE = 0.03  # of all steps, in which the learning rate rises, where the schedule does not say it


@dataclass(frozen=True)
class WarmUpStages:
    """The stages of a warm-up on a pool, in `folder`: `rows`, `packed` and `training`, each handed what the one before made; of
    what the last made, `checkpoints` and `weights`. Raises BadRequest where the scorer cannot be trained.
    """

    block: LessBlock
    job: SelectJob
    pool: PoolArtifact
    folder: str

    def checkpoints(self, trained: Reference) -> list[str]:
        """Name the folders of the checkpoints, one after each epoch."""
        place, _ = self._finished(trained)
        return [f"{place.url}/{folder}" for folder in checkpoints(place)]

    def weights(self, trained: Reference) -> list[float]:
        """Read the mean learning rate of each epoch."""
        place, records = self._finished(trained)
        rates = {}
        for part in parts_in_order(place, records):
            table = load_table(place, part)
            rates |= dict(zip(table["step"].to_pylist(), table["lr"].to_pylist(), strict=True))
        epochs = self.block.epochs
        steps = len(rates) // epochs
        return [sum(rates[epoch * steps + step + 1] for step in range(steps)) / steps for epoch in range(epochs)]

    def _finished(self, trained: Reference) -> tuple[Place, Records]:
        return finished(trained, self.job.storage, "less", Train.name)

    @property
    def rows(self) -> ChooseRows:
        return self.sample(self.block.seed, "warmup-rows")

    def packed(self, chosen: Reference) -> PackDocuments:
        model, window = self.model[0], self.block.training.window
        window = min(window, model_facts(local_model(model, self.job.storage)).context_tokens or window)
        pack = PackConfig(tokenizer=model, window=window, template=self.block.template)
        rows = InputConfig(path=chosen.url, text_column=None)
        return PackDocuments(PackJob(rows, pack, self.as_chosen, **self.at("packed")))

    def training(self, packed: Reference) -> Train:
        training = self.block.training
        rows = PackedArtifact.open(packed, self.job.storage, "less").rows
        epoch_steps = math.ceil(rows / training.batch.rows)
        steps, rising = self.block.epochs * epoch_steps, training.schedule.warmup_steps
        rising = math.ceil(RISING_SHARE * steps) if rising is None else rising
        settings = {field.name: getattr(training, field.name) for field in fields(TrainingConfig)}
        settings |= {"model": TrainedModelConfig(self.model[0]), "epochs": None, "steps": steps}
        settings |= {"schedule": replace(training.schedule, warmup_steps=rising)}
        job = ReferenceJob(
            **settings,
            data=TrainData(packed.url),
            checkpoint=CheckpointConfig(model_every_steps=epoch_steps, moments=True),
            workers=training.workers,
            **self.at("warmup"),
        )
        return Train(job)

    def sample(self, seed: int, stage: str) -> ChooseRows:
        """Choose as many rows of the pool at random as a warm-up has."""
        rows = max(1, round(self.block.warmup_share * self.pool.rows))
        settings, examples = RandomConfig(seed), self.job.examples
        job = ChooseJob("random", identity(settings), BudgetConfig(rows=rows), examples=examples, **self.at(stage))
        return ChooseRows(job, SelectorSpec("random", "random", settings), PoolView(self.pool, {}), SelectorInputs())

    @property
    def as_chosen(self) -> ExampleConfig:
        """Say how rows are read that were chosen: their columns have the usual names."""
        return ExampleConfig(turns=self.job.examples.turns)

    @cached_property
    def model(self) -> tuple[str, str | None]:
        """Give the address of the scorer's model, and what its contents are known by."""
        if not self.job.scorer.path:
            raise BadRequest(
                "less warms the scorer up and takes its gradients, and scorer.path is not given. Name a model."
            )
        return resolve_model(self.job.scorer.path, self.job.storage)

    def at(self, stage: str) -> dict[str, Any]:
        """Give where a stage is made. Its folder is named by all that decides the warm-up."""
        output = Output(f"{self.folder}/less-{self._key}-{stage}")
        return {"output": output, "storage": self.job.storage, "cluster": self.job.cluster}

    @cached_property
    def _key(self) -> str:
        decides = json.dumps(
            [deciding(self.block), identity(self.job.examples), self.pool.key, self.model[1]], sort_keys=True
        )
        return blake2b(decides.encode(), digest_size=8).hexdigest()


def deciding(block: LessBlock) -> list[Any]:
    """Give what of a block decides the warm-up, as plain values."""
    settings = {key: value for key, value in identity(block).items() if key.startswith(("training.", "warm"))}
    return [settings, block.seed, block.template]
