"""The passes of one optimizer step: which tokens count for how much, over all micro-batches and ranks.

No method is known here: a loss says its scope, whether it needs the current losses, and what a step is divided by. What a loss of
scope `global` has to know of the whole step is gathered before the first backward pass, so the choice is exact.

Shapes: B rows of a micro-batch, R rows of all ranks, T tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from operators.learn.losses.base import BadValue, Loss, LossRows
from operators.learn.losses.fused import Weighted
from operators.learn.training.objective import DeviceBatch, Objective
from operators.learn.training.parallel import World, free


@dataclass(frozen=True)
class StepSums:
    """What a step adds up over micro-batches and ranks, see `losses.fused.Sums`.

    `divisor` is what the loss says that loss and gradients are divided by; `bad` counts ranks that met bad values.
    """

    loss: float  # sum(weight * L), in nats
    divisor: float
    candidates: float
    kept: float
    kept_nll: float
    left: float
    left_nll: float
    bad: float


@dataclass
class Step:
    """One step of one rank. `batch_rows` are the rows of each micro-batch of each rank, [rank][micro-batch].

    Dropout depends on `seed`, step, rank and micro-batch alone: each pass over a micro-batch sees the same, so tokens are chosen
    by the losses that they are trained by, and a resumed run needs no state of random numbers.

    What a loss finds wrong is put down in `bad`, the row's place in the whole step with what is wrong there, and its tokens get
    no weight. It is not raised here: the ranks meet in each pass, and one that left would leave the others waiting.
    """

    objective: Objective
    loss: Loss
    world: World
    number: int
    batch_rows: Sequence[Sequence[int]]
    seed: int
    bad: dict[int, str] = field(default_factory=dict)

    def run(self, batches: Sequence[DeviceBatch]) -> StepSums:
        """Leave the gradient of sum(weight * L), over all ranks, in the parameters, and give the sums of all ranks."""
        total = torch.zeros(7, dtype=torch.float64, device=self.world.device)
        for index, (batch, rows, weigh) in enumerate(self._passes(batches)):
            self.draw_anew(index)
            loss, weighted = self.objective(batch, rows, weigh)
            loss.backward()
            total += torch.stack([loss.detach().double(), self._divisor(weighted, rows), *weighted.sums()])
        return StepSums(*self.world.sum([*total.tolist(), bool(self.bad)]))

    def _divisor(self, weighted: Weighted, rows: LossRows) -> Tensor:
        """Ask the loss, which is shown the losses that it weighed by."""
        shown = replace(rows, nll_RT=weighted.nll_RT) if self.loss.needs_nll else rows
        try:
            return self.loss.divisor(weighted.weights_RT, shown)
        except BadValue as error:
            self._put_down(error)
            return torch.zeros((), dtype=torch.float64, device=self.world.device)

    def _passes(self, batches: Sequence[DeviceBatch]):
        """Give each micro-batch with what its loss may look at, and who weighs it: the loss, or weights that are known."""
        each_rows = [
            LossRows(batch.defined_BT, batch.columns, self.number, None, self.first_row(index))
            for index, batch in enumerate(batches)
        ]
        if self.loss.scope != "global":
            return zip(batches, each_rows, [Weigher(self._weigh, self.loss)] * len(batches), strict=True)
        if self.loss.needs_nll and len(batches) == 1:
            return [(batches[0], each_rows[0], Weigher(lambda rows: self._weigh_together([rows])[0], self.loss))]
        if self.loss.needs_nll:
            each_rows = [
                self._with_losses(index, *pair) for index, pair in enumerate(zip(batches, each_rows, strict=True))
            ]
        return zip(batches, each_rows, self._weigh_together(each_rows), strict=True)

    def first_row(self, index: int) -> int:
        """Give the place in the whole step of the first row of one of this rank's micro-batches."""
        rank = self.world.rank
        return sum(map(sum, self.batch_rows[:rank])) + sum(self.batch_rows[rank][:index])

    def draw_anew(self, index: int) -> None:
        """Set the random numbers to where they are before each pass over one of this rank's micro-batches."""
        place = [self.seed, self.number, self.world.rank, index]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))

    def _with_losses(self, index: int, batch: DeviceBatch, rows: LossRows) -> LossRows:
        self.draw_anew(index)
        with torch.no_grad():
            nll_BT = self.objective(batch)
        free(self.objective)
        return rows.part(slice(0, len(nll_BT)), nll_BT)

    def _weigh_together(self, each_rows: Sequence[LossRows]) -> Sequence[Tensor]:
        """Weigh the rows of all ranks at once, and give the weights of this rank's micro-batches."""
        counts = [sum(rows) for rows in self.batch_rows]
        gather = partial(self._gather, counts=counts)
        columns = {name: gather([rows.columns[name] for rows in each_rows]) for name in self.loss.columns}
        nll_RT = gather([rows.nll_RT for rows in each_rows]) if self.loss.needs_nll else None
        defined_RT = gather([rows.defined_RT for rows in each_rows])
        weights_RT = self._weigh(LossRows(defined_RT, columns, self.number, nll_RT))
        own_RT = weights_RT.split(counts)[self.world.rank]
        return own_RT.split(list(self.batch_rows[self.world.rank]))

    def _gather(self, values: list[Tensor], counts: list[int]) -> Tensor:
        return self.world.gather(torch.cat(values), counts)

    def _weigh(self, rows: LossRows) -> Tensor:
        try:
            return self.loss(rows)
        except BadValue as error:
            self._put_down(error)
            return torch.zeros(rows.defined_RT.shape, device=rows.defined_RT.device)

    def _put_down(self, error: BadValue) -> None:
        self.bad[error.row] = f"{error.what} is {error.value} at token {error.place}"


class Weigher:
    """A loss, called in another way. One of scope `global` is given its own micro-batch whole, and asks the others."""

    def __init__(self, weigh, loss: Loss):
        self._weigh, self.columns, self.needs_nll, self.scope = weigh, loss.columns, loss.needs_nll, loss.scope

    def __call__(self, rows: LossRows) -> Tensor:
        return self._weigh(rows)
