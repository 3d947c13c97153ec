"""The plain loss: all tokens count alike."""

from torch import Tensor

from operators.learn.losses.base import Loss, LossRows, per_sequence


class CrossEntropy(Loss):
    """Weigh every candidate by 1, or by 1 / candidates of its row with `normalise=sequence_mean`."""

    def __call__(self, rows: LossRows) -> Tensor:
        weights_RT = rows.defined_RT.float()
        return per_sequence(weights_RT) if self.config.normalise == "sequence_mean" else weights_RT
