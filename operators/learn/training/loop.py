"""The training loop: a generator of steps. Saving and evaluating are the caller's, between two steps."""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from operators.errors import BadRequest
from operators.learn.losses.base import Loss
from operators.learn.training.checkpoint import load_state, save_model, save_moments, save_state
from operators.learn.training.config import TrainingConfig
from operators.learn.training.data.feeding import Batch, Feeder, Sample, Shards
from operators.learn.training.data.order import DataOrder, slices
from operators.learn.training.evaluation import Evaluation, evaluate
from operators.learn.training.model import adapt, build_model, lora_of
from operators.learn.training.objective import Objective, on_device
from operators.learn.training.optimizer import build_optimizer, mean_and_clip
from operators.learn.training.parallel import World, free, is_sharded, shard
from operators.learn.training.results import Diverged, StepResult
from operators.learn.training.schedule import learning_rate_share
from operators.learn.training.step import Step, StepSums
from operators.learn.training.throughput import flops_per_token, peak_flops
from operators.text.tokenizer import contents_digest, load_tokenizer


class Trainer:
    """A run of training: model, optimizer and position, on one rank of `world`. All ranks do the same calls.

    `tokenizer` is a local folder with the tokenizer of the rows: it is held against them, and saved beside the model. Raises
    BadRequest where model, rows and settings do not fit together. Source: AdamW training as in Rho-1, arXiv:2404.07965.
    """

    def __init__(self, config: TrainingConfig, loss: Loss, shards: Shards, world: World, tokenizer: Path | None = None):
        _check_tokenizer(tokenizer, shards)
        self.config, self.loss, self.shards, self.world, self.tokenizer = config, loss, shards, world, tokenizer
        self.precision = config.precision or ("bfloat16" if world.device.type == "cuda" else "float32")
        self.order = DataOrder(shards.rows, config.seed, config.shuffle_shards)
        self.total_steps = config.total_steps(self.order.epoch_rows, shards.packing.window)
        self.step = self.sample = self.tokens_seen = self.tokens_trained = 0
        self.model = build_model(config.model, shards.packing, config.seed, config.attention)
        adapt(self.model, config.lora, config.seed)
        self._flops = flops_per_token(self.model, shards.packing.window)
        self._peak = peak_flops(world.device)
        if config.activation_checkpointing:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        self.objective = Objective(self.model, self.precision == "bfloat16" and not is_sharded(world)).to(world.device)
        shard(self.objective, decoder_layers(self.model), world, self.precision)
        self.optimizer = build_optimizer(self.model, config.optimizer)

    def steps(self) -> Iterator[StepResult]:
        """Train to the end, one step at a time. Raises Diverged."""
        feeder = Feeder(self.shards, self.order)
        self.optimizer.zero_grad()  # a step that was not taken leaves gradients behind
        try:
            while self.step < self.total_steps:
                yield self._advance(feeder)
        finally:
            feeder.close()

    def evaluate(self, packed: pa.Table) -> Evaluation:
        """Measure the loss on the rows of a packed table, the same on all ranks."""
        return evaluate(self.objective, packed, self.world, self.config.batch.micro_rows)

    def save_model(self, folder: str | Path) -> None:
        """Write a Hugging Face folder of the model as it is now."""
        save_model(Path(folder), self.model, self.precision, self.tokenizer, self.world)

    def save_moments(self, folder: str | Path, since: int) -> None:
        """Write the adapters with Adam's running means to a folder, and the mean learning rate of the steps after `since`.

        Raises BadRequest where no adapters are trained.
        """
        if self.config.lora.rank is None:
            raise BadRequest("moments are saved of adapters only. Give lora.rank, or set checkpoint.moments=false.")
        rate = sum(map(self._learning_rate, range(since, self.step))) / (self.step - since)
        save_moments(Path(folder), self.model, self.optimizer, lora_of(self.config.lora), rate, self.world)

    def save_state(self, folder: str | Path) -> None:
        """Write all that `restore` needs to go on from here, to a new folder."""
        save_state(Path(folder), self.model, self.optimizer, self._position(), self.world)

    def restore(self, folder: str | Path) -> None:
        """Go on from a saved state, whatever the number of ranks it was saved by."""
        position = load_state(Path(folder), self.model, self.optimizer)
        if position["order"] != self.order.digest:
            raise BadRequest(f"the run in {folder} was trained on other rows or with another seed. Begin a new run.")
        self.step, self.sample = position["step"], position["sample"]
        self.tokens_seen, self.tokens_trained = position["tokens_seen"], position["tokens_trained"]

    def _position(self) -> dict:
        numbers = {name: getattr(self, name) for name in ("step", "sample", "tokens_seen", "tokens_trained")}
        return numbers | {"order": self.order.digest}

    def _advance(self, feeder: Feeder) -> StepResult:
        begin, rows, world = time.perf_counter(), self.config.batch.rows, self.world
        each = slices(self.sample, rows, world.size, self.config.batch.micro_rows)
        batches = [_batch(feeder, samples) for samples in each[world.rank]]
        batch_rows = [[max(1, len(samples)) for samples in of_rank] for of_rank in each]
        step = Step(self.objective, self.loss, world, self.step, batch_rows, self.config.seed)
        sums = step.run([on_device(batch, world.device) for batch in batches])
        self._check_losses(step, sums, batches)
        self._check_divisor(sums, batches)
        norm = mean_and_clip(self.model.parameters(), sums.divisor or 1.0, self.config.optimizer.clip)
        self._check_gradient(norm, batches)
        lr = self._update()
        tokens = rows * self.shards.packing.window
        self.step, self.sample = self.step + 1, self.sample + rows
        self.tokens_seen, self.tokens_trained = self.tokens_seen + tokens, self.tokens_trained + int(sums.kept)
        return self._result(sums, norm, lr, tokens, time.perf_counter() - begin)

    def _update(self) -> float:
        """Change the weights by their gradients; give the learning rate."""
        lr = self._learning_rate(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        self.optimizer.zero_grad()
        return lr

    def _learning_rate(self, step: int) -> float:
        return self.config.optimizer.lr * learning_rate_share(step, self.total_steps, self.config.schedule)

    def _result(self, sums: StepSums, norm: float, lr: float, tokens: int, seconds: float) -> StepResult:
        speed = tokens / seconds
        return StepResult(
            step=self.step,
            loss=_ratio(sums.loss, sums.divisor),
            grad_norm=norm,
            lr=lr,
            tokens_seen=self.tokens_seen,
            tokens_trained=self.tokens_trained,
            kept=_ratio(sums.kept, sums.candidates),
            loss_kept=_ratio(sums.kept_nll, sums.kept),
            loss_left=_ratio(sums.left_nll, sums.left),
            seconds=seconds,
            tokens_per_second=speed,
            mfu=self._flops * speed / (self._peak * self.world.size) if self._flops and self._peak else None,
        )

    def _check_losses(self, step: Step, sums: StepSums, batches: list[Batch]) -> None:
        if not sums.bad and math.isfinite(sums.loss):
            return
        bad = step.bad if sums.bad else self._bad_rows(step, batches)
        told = dict(item for of_rank in self.world.tell(bad) for item in of_rank.items())
        names = [name for of_rank in self.world.tell(_samples(batches)) for name in of_rank]
        what = next(iter(told.values()), "the loss is not finite")
        raise Diverged(self.step + 1, what, [names[row] for row in sorted(told)] or names)

    def _check_divisor(self, sums: StepSums, batches: list[Batch]) -> None:
        """A wrong one would train on unharmed: undivided, or uphill."""
        if math.isfinite(sums.divisor) and (sums.divisor > 0 or sums.divisor == sums.loss == 0):
            return
        names = [name for of_rank in self.world.tell(_samples(batches)) for name in of_rank]
        told = f"{type(self.loss).__name__}.divisor gives {sums.divisor}, where a number above 0 is needed"
        raise Diverged(self.step + 1, told, names)

    def _check_gradient(self, norm: float, batches: list[Batch]) -> None:
        if not math.isfinite(norm):
            names = [name for of_rank in self.world.tell(_samples(batches)) for name in of_rank]
            raise Diverged(self.step + 1, f"all losses are finite, and the norm of the gradient is {norm}", names)

    @torch.no_grad()
    def _bad_rows(self, step: Step, batches: list[Batch]) -> dict[int, str]:
        """Find this rank's rows whose loss is no finite number, by a pass of its own: their places in the whole step."""
        bad = {}
        for index, batch in enumerate(batches):
            device = on_device(batch, self.world.device)
            step.draw_anew(index)
            wrong_BT = ~self.objective(device).isfinite() & device.defined_BT
            first = step.first_row(index)
            bad |= {first + row: "the loss is not finite" for row in wrong_BT.any(1).nonzero()[:, 0].tolist()}
        free(self.objective)
        return bad


def decoder_layers(model: torch.nn.Module) -> list[torch.nn.Module]:
    """Find the layers of a decoder: the longest list of modules in it."""
    lists = [module for module in model.modules() if isinstance(module, torch.nn.ModuleList)]
    return list(max(lists, key=len, default=()))


def _batch(feeder: Feeder, samples: range) -> Batch:
    if samples:
        return feeder.batch(samples)
    # A rank without rows of its own takes part in all passes, with a row in which nothing is defined.
    batch = feeder.batch(range(samples.start, samples.start + 1))
    return replace(batch, defined_BT=np.zeros_like(batch.defined_BT))


def _samples(batches: list[Batch]) -> list[Sample]:
    return [sample for batch in batches for sample in batch.samples]


def _ratio(total: float, count: float) -> float | None:
    return total / count if count else None


def _check_tokenizer(tokenizer: Path | None, shards: Shards) -> None:
    if tokenizer is not None and contents_digest(load_tokenizer(str(tokenizer))) != shards.packing.tokenizer:
        raise BadRequest(
            f"the tokenizer in {tokenizer} is not the one that the rows were packed with. Pack with the model's own tokenizer."
        )
