"""What a training run can be told. No heavy import stands here: a command line reads it at start."""

import math
from dataclasses import dataclass, field

from operators.errors import BadRequest
from operators.settings import setting

# Layers, heads, width of the models of WRAP, arXiv:2401.16380, section 3.
PRESETS = {"llama-128m": (12, 12, 768), "llama-350m": (24, 16, 1024), "llama-1.3b": (24, 16, 2048)}
SCHEDULES = ("cosine", "linear", "wsd", "constant")
PRECISIONS = ("float32", "bfloat16")


@dataclass
class TrainedModelConfig:
    """Where the model comes from: `path` to go on from weights, `preset` or `layers`, `heads`, `width` to begin anew."""

    path: str | None = setting(None, "model to go on from: a folder in Hugging Face format, or a name on the hub")
    preset: str | None = setting(None, f"begin with random weights: {', '.join(PRESETS)}")
    layers: int | None = setting(None, "begin with random weights: decoder layers of a Llama of your own size")
    heads: int | None = setting(None, "attention heads, with layers")
    width: int | None = setting(None, "hidden units, with layers; a multiple of heads, an even number per head")
    kv_heads: int | None = setting(None, "heads of keys and values, with layers or preset; null: as many as heads")
    feed_forward: int | None = setting(None, "inner units of the MLPs; null: 8/3 of the width, up to a multiple of 64")
    tie_embeddings: bool = setting(True, "random weights: one matrix for embedding and output head")

    def __post_init__(self):
        own = (self.layers, self.heads, self.width)
        given = [name for name in ("path", "preset") if getattr(self, name)] + ["layers"] * any(own)
        if len(given) > 1:
            raise BadRequest(f"model.{given[0]} and model.{given[1]} are both given. Give one of them.")
        if self.preset and self.preset not in PRESETS:
            raise BadRequest(f"no model.preset named {self.preset!r}. There are: {', '.join(PRESETS)}.")
        if any(own) and not all(own):
            raise BadRequest(f"model.layers, model.heads and model.width belong together, got {own}. Give all three.")
        sizes = {name: getattr(self, name) for name in ("layers", "heads", "width", "kv_heads", "feed_forward")}
        for name, size in sizes.items():
            if size is not None and size < 1:
                raise BadRequest(f"model.{name} is a number from 1, got {size}.")
        if all(own) and self.width % (2 * self.heads):
            raise BadRequest(f"model.width={self.width} is no multiple of 2 x model.heads={2 * self.heads}.")
        if self.path and (self.kv_heads or self.feed_forward):
            raise BadRequest("model.path brings its own sizes: leave model.kv_heads and model.feed_forward out.")
        if self.kv_heads and (self.preset or self.layers) and self.shape()[1] % self.kv_heads:
            raise BadRequest(f"the {self.shape()[1]} heads are no multiple of model.kv_heads={self.kv_heads}.")

    def shape(self) -> tuple[int, int, int]:
        """Give layers, heads and width of a model that begins anew. Raises BadRequest where nothing says them."""
        if self.preset:
            return PRESETS[self.preset]
        if not self.layers:
            raise BadRequest(
                f"no model is given. Give model.path, model.preset ({', '.join(PRESETS)}), or model.layers, heads and width."
            )
        return self.layers, self.heads, self.width


@dataclass
class OptimizerConfig:
    """AdamW."""

    lr: float = setting(3e-4, "peak learning rate")
    betas: list[float] = setting([0.9, 0.95], "decay of the two running means")
    eps: float = setting(1e-8, "added to the root of the second mean")
    weight_decay: float = setting(0.1, "per unit of learning rate; not on norms and biases")
    clip: float = setting(1.0, "largest norm of the whole gradient")

    def __post_init__(self):
        positive = {"lr": self.lr, "eps": self.eps, "clip": self.clip}
        for name, value in positive.items():
            if not 0 < value < math.inf:
                raise BadRequest(f"optimizer.{name} is a number above 0, got {value}.")
        if not 0 <= self.weight_decay < math.inf:
            raise BadRequest(f"optimizer.weight_decay is a number from 0, got {self.weight_decay}.")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise BadRequest(f"optimizer.betas are two numbers in [0, 1), got {self.betas}.")


@dataclass
class ScheduleConfig:
    """The learning rate over the steps."""

    name: str = setting(
        "cosine", "cosine, linear (to 0), wsd (warm-up, stable, decay) or constant; each begins with a linear warm-up"
    )
    warmup_steps: int | None = setting(None, "steps of linear warm-up; null: 1% of all steps")
    decay_share: float = setting(0.2, "wsd: share of all steps, at the end, in which the rate falls")
    min_lr_share: float = setting(0.1, "cosine and wsd: the last learning rate as a share of the peak")

    def __post_init__(self):
        if self.name not in SCHEDULES:
            raise BadRequest(f"schedule.name is {self.name!r}. It may be one of {', '.join(SCHEDULES)}.")
        if self.warmup_steps is not None and self.warmup_steps < 0:
            raise BadRequest(f"schedule.warmup_steps is a number from 0 or null, got {self.warmup_steps}.")
        for name in ("decay_share", "min_lr_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadRequest(
                    f"schedule.{name} is a share from 0 to 1, got {getattr(self, name)}. For 10% write 0.1."
                )


@dataclass
class BatchConfig:
    """How many rows make a step."""

    rows: int = setting(32, "packed rows of one optimizer step, over all ranks; times the window it is tokens")
    micro_rows: int = setting(8, "rows that one device takes at once, at the most", identity=False)

    def __post_init__(self):
        for name in ("rows", "micro_rows"):
            if getattr(self, name) < 1:
                raise BadRequest(f"batch.{name} is a number of rows from 1, got {getattr(self, name)}.")


@dataclass
class LoraConfig:
    """Training of low-rank adapters beside linear layers, while the model stays as it is. arXiv:2106.09685."""

    rank: int | None = setting(None, "train adapters of this rank only; null: train the whole model")
    alpha: float = setting(512.0, "what adapters add is multiplied by alpha / rank")
    dropout: float = setting(0.1, "share of an adapter's inputs that is dropped in training")
    targets: list[str] = setting(
        ["q_proj", "k_proj", "v_proj", "o_proj"], "last names of the layers that have adapters"
    )

    def __post_init__(self):
        if self.rank is not None and self.rank < 1:
            raise BadRequest(f"lora.rank is a number from 1 or null, got {self.rank}.")
        if not 0 < self.alpha < math.inf:
            raise BadRequest(f"lora.alpha is a number above 0, got {self.alpha}.")
        if not 0 <= self.dropout < 1:
            raise BadRequest(f"lora.dropout is a share in [0, 1), got {self.dropout}. For 10% write 0.1.")
        if not self.targets:
            raise BadRequest("lora.targets is empty. Name the layers that are to have adapters.")


@dataclass
class TrainingConfig:
    """Everything but the data and the loss. One of `steps`, `tokens` and `epochs` says how long."""

    model: TrainedModelConfig = field(default_factory=TrainedModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    steps: int | None = setting(None, "how long: optimizer steps")
    tokens: float | None = setting(
        None, "how long: tokens read, 1e9 for a billion; all of them count, trained on or not"
    )
    epochs: float | None = setting(None, "how long: passes over the rows; 0.5 is half of one")
    precision: str | None = setting(
        None, "of products: float32 or bfloat16; null: bfloat16 on a GPU; weights and moments are float32"
    )
    attention: str | None = setting(None, "attention of transformers: sdpa, flash_attention_2, ...; null: its choice")
    activation_checkpointing: bool = setting(False, "compute each layer again in backward: less memory", identity=False)
    shuffle_shards: int = setting(8, "shards whose rows are shuffled together, and held in memory")
    seed: int = setting(0, "of random weights, data order and dropout")

    def __post_init__(self):
        given = {name: getattr(self, name) for name in ("steps", "tokens", "epochs") if getattr(self, name) is not None}
        if len(given) > 1:
            raise BadRequest(f"{' and '.join(given)} are given. Give one of steps, tokens and epochs.")
        for name, value in given.items():
            if not 0 < value < math.inf:
                raise BadRequest(f"{name} is a number above 0, got {value}.")
        if self.precision is not None and self.precision not in PRECISIONS:
            raise BadRequest(f"precision is {self.precision!r}. It may be one of {', '.join(PRECISIONS)}, or null.")
        if self.shuffle_shards < 1:
            raise BadRequest(f"shuffle_shards is a number of shards from 1, got {self.shuffle_shards}.")
        if self.seed < 0:
            raise BadRequest(f"seed is a number from 0, got {self.seed}.")

    @property
    def how_long(self) -> str:
        """Say in words how long is trained."""
        if self.steps:
            return f"{self.steps:,} steps"
        return f"{self.tokens:,.0f} tokens" if self.tokens else f"{self.epochs:g} epochs" if self.epochs else ""

    def total_steps(self, rows: int, window: int) -> int:
        """Count the optimizer steps of the run, for `rows` packed rows of `window` tokens; a part of a step is a step."""
        if self.steps:
            return self.steps
        if self.tokens:
            return math.ceil(self.tokens / (self.batch.rows * window))
        if self.epochs:
            # 0.07 * 100 is a little more than 7 in binary, and no step of its own.
            return max(1, math.ceil(self.epochs * rows / self.batch.rows - 1e-9))
        raise BadRequest("nothing says how long to train. Give one of steps, tokens and epochs.")
