"""The gradients of a pool's rows under each checkpoint of the warm-up of LESS."""

from dataclasses import dataclass, replace

from operators.examples.base import ExampleConfig
from operators.examples.prompting import PromptingConfig
from operators.select.measure.gradients.config import GradientsConfig
from pipelines.ledger.artifacts import Reference
from pipelines.measure.feature import Feature
from pipelines.measure.pipeline import MeasureRows
from pipelines.pool.artifact import PoolArtifact
from pipelines.select.measuring import Measuring
from pipelines.select.prepare.less.warm_up import WarmUpStages
from pipelines.stock.checkpoints import step_of


@dataclass(frozen=True)
class GradientStages:
    """The gradients of rows that are trained on (`kind` train: as Adam would step) or aimed at (target), under a warm-up that is
    there: `trained` is its last stage. `examples` says how the records of the pool are read.
    """

    kind: str
    warm_up: WarmUpStages
    trained: Reference
    measuring: Measuring
    pool: PoolArtifact
    examples: ExampleConfig

    def stage(self, number: int) -> MeasureRows:
        """Measure them under the checkpoint of one epoch."""
        block, job = self.warm_up.block, self.warm_up.job
        checkpoint, (model, contents) = self.warm_up.checkpoints(self.trained)[number], self.warm_up.model
        released = block.variant == "as_released"
        blocks = (
            GradientsConfig(checkpoint, self.kind, block.dimensions, block.projection_seed, released),
            self.examples,
            PromptingConfig(block.template, job.prompting.max_tokens, job.prompting.score_eos),
            replace(job.scorer, path=model),
        )
        deciding = {
            "model": contents,
            "warm-up": self.trained.digest,
            "step": step_of(checkpoint),
        }
        feature = Feature(f"gradient_{number}", "gradients:Gradients", blocks, deciding)
        return self.measuring.pipeline(feature, self.pool)
