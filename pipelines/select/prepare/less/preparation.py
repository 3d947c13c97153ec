"""What is made before LESS chooses, in order, and what it is handed then."""

from operators.examples.base import ExampleConfig
from operators.select.selectors.less import Less
from operators.storage.config import InputConfig
from pipelines.choose.inputs import SelectorInputs
from pipelines.choose.spec import SelectorSpec
from pipelines.choose.view import PoolView
from pipelines.pool.artifact import PoolArtifact, open_pool
from pipelines.pool.job import PoolJob
from pipelines.pool.pipeline import ReadPool
from pipelines.select.job import SelectJob
from pipelines.select.measuring import Measuring
from pipelines.select.prepare.base import Staged
from pipelines.select.prepare.less.gradients import GradientStages
from pipelines.select.prepare.less.warm_up import WarmUpStages


class PrepareLess:
    """Warm the scorer up, and measure gradients. Keeps pipelines/select/prepare/base.py:Preparation."""

    def __init__(self, job: SelectJob, spec: SelectorSpec, measuring: Measuring):
        self.job, self.spec, self.measuring = job, spec, measuring
        self.needs_target = spec.block.variant == "default"  # as_released samples one from the pool

    def check(self) -> None:
        """Refuse a variant that has no weights for so many epochs."""
        Less(self.spec.block, weights=[1.0] * self.spec.block.epochs)

    def stages(self, pool: PoolArtifact, target: PoolArtifact | None) -> Staged[tuple[PoolView, SelectorInputs]]:
        warm_up = WarmUpStages(self.spec.block, self.job, pool, self.measuring.folder)
        yield from warm_up.stages()
        train = GradientStages("train", warm_up, self.measuring, pool, self.job.examples)
        aimed_at = (target, self.job.examples) if self.needs_target else (yield from self._sample(warm_up))
        aim = GradientStages("target", warm_up, self.measuring, *aimed_at)
        for number in range(self.spec.block.epochs):
            yield train.stage(number)
            yield aim.stage(number)
        counted = yield from self.measuring.of(pool, self.spec)
        view = PoolView(pool, {**train.view.features, **counted.features})
        return view, SelectorInputs(aim.view, plain={"weights": warm_up.weights})

    def _sample(self, warm_up: WarmUpStages) -> Staged[tuple[PoolArtifact, ExampleConfig]]:
        """Read a sample of the pool as a pool of its own; gives it, and how its records are read."""
        rows = warm_up.sample(self.spec.block.seed + 1, "target-rows")
        yield rows
        written = InputConfig(path=rows.place.url, text_column=None)
        read = ReadPool(PoolJob(written, warm_up.as_chosen, **warm_up.at("target")))
        yield read
        return open_pool(read.place.url, self.job.storage, "less"), warm_up.as_chosen
