"""What is made before LESS chooses, in order, and what it is handed then."""

import json
from collections.abc import Iterator
from hashlib import blake2b

from cluster.claims import A_NODE, a_model_each
from operators.models.device import may_use_gpu
from operators.select.selectors.less import Less
from operators.storage.config import InputConfig
from pipelines.choose.inputs import SelectorInputs
from pipelines.choose.pipeline import ChooseRows
from pipelines.choose.spec import SelectorSpec
from pipelines.choose.view import PoolView
from pipelines.measure.artifact import FeatureArtifact
from pipelines.pack.pipeline import PackDocuments
from pipelines.pool.job import PoolJob
from pipelines.pool.pipeline import ReadPool
from pipelines.run.stage import Made, Stage
from pipelines.select.job import SelectJob
from pipelines.select.measuring import POOL, TARGET, Measuring
from pipelines.select.prepare.less.gradients import GradientStages
from pipelines.select.prepare.less.warm_up import WarmUpStages, deciding


class PrepareLess:
    """Warm the scorer up, and measure gradients. Keeps pipelines/select/prepare/base.py:Preparation."""

    def __init__(self, job: SelectJob, spec: SelectorSpec, measuring: Measuring):
        self.job, self.spec, self.measuring = job, spec, measuring
        self.needs_target = spec.block.variant == "default"  # as_released samples one from the pool

    def check(self) -> None:
        """Refuse a variant that has no weights for so many epochs."""
        Less(self.spec.block, weights=[1.0] * self.spec.block.epochs)

    def stages(self) -> Iterator[Stage]:
        yield Stage(self._named("rows"), "choose", lambda made: self._warm_up(made).rows, (POOL,), A_NODE)
        yield Stage(self._named("packed"), "pack", self._packed, (POOL, self._named("rows")))
        yield Stage(
            self._named("warm-up"),
            "reference",
            lambda made: self._warm_up(made).training(made[self._named("packed")]),
            (POOL, self._named("packed")),
            self.spec.block.training.workers.claims,
            self.spec.block.training.how_long,
        )
        if not self.needs_target:
            yield Stage(self._named("target rows"), "choose", self._sampled, (POOL,), A_NODE)
            yield Stage(self._aim, "pool", self._sample, (POOL, self._named("target rows")))
        for number in range(self.spec.block.epochs):
            yield self._measuring("train", POOL, number)
            yield self._measuring("target", self._aim, number)
        yield from self.measuring.stages(self.spec)

    @property
    def after(self) -> list[str]:
        return [POOL, *(stage.name for stage in self.stages()), self._aim]

    def inputs(self, made: Made) -> tuple[PoolView, SelectorInputs]:
        counted = self.measuring.view(made, self.spec)
        view = PoolView(counted.pool, {**self._measured(POOL, made), **counted.features})
        aim = PoolView(self.measuring.pool(made, self._aim), self._measured(self._aim, made))
        weights = self._warm_up(made).weights(made[self._named("warm-up")])
        return view, SelectorInputs(aim, plain={"weights": weights})

    @property
    def _aim(self) -> str:
        """Name the stage whose rows are aimed at."""
        return TARGET if self.needs_target else self._named("target")

    def _named(self, what: str) -> str:
        """Name a stage by what decides what it makes: selectors that need the same have it made once."""
        return f"less {self._key(deciding(self.spec.block))} {what}"

    def _gradient(self, of: str, number: int) -> str:
        block = self.spec.block
        key = self._key([deciding(block), block.variant, block.dimensions, block.projection_seed])
        return f"less {key} gradient {number} of {of.removeprefix(self._named(''))}"

    def _key(self, values: list) -> str:
        return blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=2).hexdigest()

    def _warm_up(self, made: Made) -> WarmUpStages:
        return WarmUpStages(self.spec.block, self.job, self.measuring.pool(made), self.measuring.folder)

    def _measuring(self, kind: str, of: str, number: int) -> Stage:
        return Stage(
            self._gradient(of, number),
            "measure",
            lambda made: self._gradients(kind, of, made).stage(number),
            (POOL, of, self._named("warm-up")),
            a_model_each(self.job.features.copies, may_use_gpu(self.job.scorer.device)),
        )

    def _gradients(self, kind: str, of: str, made: Made) -> GradientStages:
        warm_up = self._warm_up(made)
        sampled = of not in (POOL, TARGET)
        examples = warm_up.as_chosen if sampled else self.job.examples
        return GradientStages(
            kind, warm_up, made[self._named("warm-up")], self.measuring, self.measuring.pool(made, of), examples
        )

    def _measured(self, of: str, made: Made) -> dict[str, FeatureArtifact]:
        """Open the gradients of some rows under all checkpoints, by the names under which the selector looks for them."""
        stages = {f"gradient_{number}": self._gradient(of, number) for number in range(self.spec.block.epochs)}
        return {name: FeatureArtifact.open(made[stage], self.job.storage, "less") for name, stage in stages.items()}

    def _packed(self, made: Made) -> PackDocuments:
        return self._warm_up(made).packed(made[self._named("rows")])

    def _sampled(self, made: Made) -> ChooseRows:
        """Choose a sample of the pool to aim at."""
        return self._warm_up(made).sample(self.spec.block.seed + 1, "target-rows")

    def _sample(self, made: Made) -> ReadPool:
        """Read it as a pool of its own."""
        warm_up, rows = self._warm_up(made), made[self._named("target rows")]
        written = InputConfig(path=rows.url, text_column=None)
        return ReadPool(PoolJob(written, warm_up.as_chosen, **warm_up.at("target")))
