"""What LESS can be told: the selector's own block, with the warm-up that its features stand on."""

from dataclasses import dataclass, field

from operators.errors import BadRequest
from operators.learn.training.config import LoraConfig, OptimizerConfig, ScheduleConfig, TrainingConfig
from operators.select.selectors.less import LessConfig
from operators.settings import setting
from pipelines.train.job import WorkersConfig


@dataclass
class WarmUp(TrainingConfig):
    """The training of adapters whose checkpoints, one after each epoch, gradients are taken at. Its model is the scorer.

    Defaults: LESS, arXiv:2402.04333, appendix B.
    """

    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(lr=2e-5, betas=[0.9, 0.999], weight_decay=0.0)
    )
    schedule: ScheduleConfig = field(default_factory=lambda: ScheduleConfig(name="linear"))
    lora: LoraConfig = field(default_factory=lambda: LoraConfig(rank=128))
    epochs: float | None = setting(4, "passes over the warm-up rows, each to its own checkpoint; a whole number")
    window: int = setting(
        2048,
        "tokens of a packed row, or the scorer's context where that is less; rows of the pool stand in one together",
    )
    workers: WorkersConfig = field(default_factory=WorkersConfig)

    def __post_init__(self):
        super().__post_init__()
        if self.lora.rank is None:
            raise BadRequest("less.training.lora.rank is null: LESS reads gradients of adapters. Give a rank.")
        if not self.epochs or self.epochs != int(self.epochs):
            raise BadRequest(
                f"less.training.epochs is a whole number from 1, because each ends in a checkpoint; got {self.epochs}."
            )
        if any(vars(self.model)[name] for name in ("path", "preset", "layers")):
            raise BadRequest("less.training.model is given, and the warm-up trains the scorer: give scorer.path.")


@dataclass
class LessBlock(LessConfig):
    """Everything the selector `less` can be told."""

    template: str = setting("tulu", "how turns are framed, in the warm-up and for gradients: as prompting.template")
    dimensions: int = setting(8192, "dimensions that gradients are projected to")
    projection_seed: int = setting(0, "of the projection")
    warmup_share: float = setting(0.05, "share of the pool that the warm-up trains on")
    seed: int = setting(0, "of the choice of these rows")
    training: WarmUp = field(default_factory=WarmUp)

    def __post_init__(self):
        super().__post_init__()
        if not 0 < self.warmup_share <= 1:
            raise BadRequest(f"less.warmup_share is a share in (0, 1], got {self.warmup_share}. For 5% write 0.05.")

    @property
    def epochs(self) -> int:
        return int(self.training.epochs)
