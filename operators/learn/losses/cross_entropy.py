"""The plain loss: all tokens count alike."""

from torch import Tensor

from operators.learn.losses.base import LossRows, per_sequence
from operators.learn.losses.config import LossConfig


class CrossEntropy:
    """Weigh every candidate by 1, or by 1 / candidates of its row with `normalise=sequence_mean`."""

    columns = ()
    needs_nll = False
    scope = "sequence"

    def __init__(self, config: LossConfig):
        self.config = config

    def __call__(self, rows: LossRows) -> Tensor:
        weights_RT = rows.defined_RT.float()
        return per_sequence(weights_RT) if self.config.normalise == "sequence_mean" else weights_RT
