"""The gradients of a pool's rows under each checkpoint of the warm-up of LESS."""

from dataclasses import dataclass, replace

from operators.examples.base import ExampleConfig
from operators.examples.prompting import PromptingConfig
from operators.select.measure.gradients.config import GradientsConfig
from pipelines.choose.view import PoolView
from pipelines.ledger.artifacts import digest
from pipelines.measure.artifact import FeatureArtifact
from pipelines.measure.feature import Feature
from pipelines.measure.pipeline import MeasureRows
from pipelines.pool.artifact import PoolArtifact
from pipelines.select.measuring import Measuring
from pipelines.select.prepare.less.warm_up import WarmUpStages
from pipelines.stock.checkpoints import step_of


@dataclass(frozen=True)
class GradientStages:
    """The gradients of rows that are trained on (`kind` train: as Adam would step) or aimed at (target), under a warm-up that is
    there. `examples` says how the records of the pool are read.
    """

    kind: str
    warm_up: WarmUpStages
    measuring: Measuring
    pool: PoolArtifact
    examples: ExampleConfig

    def stage(self, number: int) -> MeasureRows:
        """Measure them under the checkpoint of one epoch."""
        block, job = self.warm_up.block, self.warm_up.job
        checkpoint, (model, contents) = self.warm_up.checkpoints[number], self.warm_up.model
        released = block.variant == "as_released"
        blocks = (
            GradientsConfig(checkpoint, self.kind, block.dimensions, block.projection_seed, released),
            self.examples,
            PromptingConfig(block.template, job.prompting.max_tokens, job.prompting.score_eos),
            replace(job.scorer, path=model),
        )
        deciding = {
            "model": contents,
            "warm-up": digest(self.warm_up.training.recipe),
            "step": step_of(checkpoint),
        }
        feature = Feature(f"gradient_{number}", "gradients:Gradients", blocks, deciding)
        return self.measuring.pipeline(feature, self.pool)

    @property
    def view(self) -> PoolView:
        """Give the pool with the gradients under all checkpoints, which are measured."""
        stages = [self.stage(number) for number in range(self.warm_up.block.epochs)]
        return PoolView(self.pool, {stage.feature.name: self._measured(stage) for stage in stages})

    def _measured(self, stage: MeasureRows) -> FeatureArtifact:
        return FeatureArtifact.open(stage.place.url, stage.place.storage, "less")
