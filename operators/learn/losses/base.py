"""The contract of a loss: it says how much each token counts. Who trains knows nothing else about it.

The loss of an optimizer step is sum(weight * L) / divisor over all its tokens, L being -log P of a token in nats; the divisor
is sum(weight) unless the loss says otherwise. Shapes: R rows of T tokens. A value at a place always belongs to the token at
this place as the target.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from operators.learn.losses.config import LossConfig


@dataclass(frozen=True)
class LossRows:
    """What a loss may look at.

    `defined_RT` (bool) marks what can be predicted and trained on. `columns` are saved scores (R, T), NaN where undefined;
    `nll_RT` has the current losses, detached, or None where the loss does not need them. `step` counts optimizer steps from
    0. `first_row` is the place of row 0 in whatever larger batch these rows are cut from.
    """

    defined_RT: Tensor
    columns: Mapping[str, Tensor] = field(default_factory=dict)
    step: int = 0
    nll_RT: Tensor | None = None
    first_row: int = 0

    def part(self, rows: slice, nll_RT: Tensor) -> "LossRows":
        """Cut out some rows, whose current losses are given."""
        columns = {name: values_RT[rows] for name, values_RT in self.columns.items()}
        return LossRows(self.defined_RT[rows], columns, self.step, nll_RT, self.first_row + rows.start)


class Loss(ABC):
    """Weights for the tokens of some rows, and what their sum is divided by.

    `columns` names the scores it reads, `needs_nll` tells whether it needs the current losses too. `scope` says what must be in
    one call: whole rows (sequence), all rows of one device's forward pass (microbatch), or all of an optimizer step, of all
    devices, in the order of the data (global).

    It is made of the settings and of the number of reference losses that the scores have: `reference_loss`, or
    `reference_loss_1` and so on. Settings stand in LossConfig, which losses share and the command line reads without torch: a
    loss that needs one more adds the field there, with its check. Raises BadRequest where settings and scores do not fit.
    """

    columns: tuple[str, ...] = ()
    needs_nll: bool = False
    scope: str = "sequence"

    def __init__(self, config: LossConfig, references: int = 1):
        self.config, self.references = config, references

    @abstractmethod
    def __call__(self, rows: LossRows) -> Tensor:
        """Weigh: float32 (R, T) from 0, without gradient; 0 wherever `defined_RT` is false.

        A loss checks what it reads (see `checked`): a token of weight 0 is not looked at again, so a NaN would be hidden.
        Raises BadValue.
        """

    def divisor(self, weights_RT: Tensor, rows: LossRows) -> Tensor:
        """Give what rows add to the number by which the loss and the gradient of their step are divided: float64, no dimensions.

        `weights_RT` are those that a call gave for these rows. Shares of rows, micro-batches and devices are added up, so it
        must not matter how a step is cut: above 0 where a weight is, 0 where nothing is defined. With `loss.normalise` =
        sequence_mean the weights of a row sum to 1 (see `per_sequence`), and so does the row's part of this.
        """
        return weights_RT.double().sum()


class BadValue(ValueError):
    """A loss or a score that should be a number is none. `row` is the row it stands in, counted with `first_row`."""

    def __init__(self, what: str, value: float, row: int, place: int):
        super().__init__(f"{what} is {value} at token {place} of row {row}, where a finite number is needed.")
        self.what, self.value, self.row, self.place = what, value, row, place

    def __reduce__(self):
        return BadValue, (self.what, self.value, self.row, self.place)


def per_sequence(weights_RT: Tensor) -> Tensor:
    """Scale weights so that those of a row sum to 1: the step's loss becomes the mean of the rows' mean losses.

    A row without any weight has no mean and does not count.
    """
    sums_R1 = weights_RT.sum(1, keepdim=True)
    return weights_RT / sums_R1.masked_fill(sums_R1 == 0, 1)


def checked(what: str, values_RT: Tensor, rows: LossRows) -> Tensor:
    """Give values in float32, which fp16 scores need before anything is subtracted. Raises BadValue where one is no number."""
    values_RT = values_RT.to(torch.promote_types(values_RT.dtype, torch.float32))
    bad_RT = (rows.defined_RT & ~values_RT.isfinite()) | values_RT.isinf()
    if bad_RT.any():
        row, place = bad_RT.nonzero()[0].tolist()
        raise BadValue(what, values_RT[row, place].item(), rows.first_row + row, place)
    return values_RT
