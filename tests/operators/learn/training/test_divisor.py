"""A loss may say what the step's sum is divided by."""

import pytest
import torch

from operators.learn.losses.base import BadValue
from operators.learn.losses.config import LossConfig
from operators.learn.training.config import BatchConfig
from operators.learn.training.data.feeding import Feeder
from operators.learn.training.data.order import DataOrder
from operators.learn.training.loop import Trainer
from operators.learn.training.objective import on_device
from operators.learn.training.parallel import World
from operators.learn.training.results import Diverged
from tests.operators.learn.training.even_places import EvenPlaces
from tests.operators.learn.training.small import config, shards

pytestmark = pytest.mark.model
ALONE = World(0, 1, torch.device("cpu"))


class LowLosses(EvenPlaces):
    """Train on the tokens with a low loss, and divide by the number of candidates whose loss is known."""

    columns, needs_nll = ("reference_loss",), True

    def __init__(self, config, scope="sequence"):
        super().__init__(config)
        self.scope = scope

    def __call__(self, rows):
        return (rows.defined_RT & (rows.nll_RT < 4.1)).float()

    def divisor(self, weights_RT, rows):
        assert rows.columns["reference_loss"].shape == rows.nll_RT.shape == weights_RT.shape
        return rows.nll_RT[rows.defined_RT].isfinite().sum().double()


def plain_step(loss_class):
    """Give the loss of the first step and the norm of its gradient, written down in the plainest way."""
    training = Trainer(config(), EvenPlaces(LossConfig()), shards([5, 9, 4]), ALONE)
    batch = on_device(Feeder(training.shards, DataOrder(training.shards.rows, 0, 8)).batch(range(6)), ALONE.device)
    model = training.model
    logits = model(input_ids=batch.tokens_BT, position_ids=batch.positions_BT, use_cache=False).logits
    nll = torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), batch.tokens_BT[:, 1:], reduction="none")
    defined = batch.defined_BT[:, 1:]
    kept = nll < 4.1 if loss_class is LowLosses else torch.arange(1, 16) % 2 == 0
    loss = nll[defined & kept].sum() / defined.sum()
    loss.backward()
    return loss.item(), torch.nn.utils.get_total_norm([p.grad for p in model.parameters()]).item()


@pytest.mark.parametrize("micro_rows", [6, 2, 1])
@pytest.mark.parametrize(
    "loss",
    [EvenPlaces(LossConfig()), *(LowLosses(LossConfig(), scope) for scope in ("sequence", "microbatch", "global"))],
    ids=["even places", "low losses of sequences", "low losses of micro-batches", "low losses of the step"],
)
def test_a_loss_divides_by_all_candidates_however_the_step_is_cut(loss, micro_rows):
    batch = BatchConfig(rows=6, micro_rows=micro_rows)
    result = next(Trainer(config(batch=batch), loss, shards([5, 9, 4], loss.columns), ALONE).steps())
    expected_loss, expected_norm = plain_step(type(loss))
    assert 0.1 < result.kept < 0.9
    assert result.loss == pytest.approx(expected_loss, rel=1e-5)
    assert result.grad_norm == pytest.approx(expected_norm, rel=1e-4)


class Dividing(EvenPlaces):
    """Divides by what it is told; raises it where it is an exception."""

    def __init__(self, config, by):
        super().__init__(config)
        self.by = by

    def divisor(self, weights_RT, rows):
        if isinstance(self.by, Exception):
            raise self.by
        return torch.tensor(self.by, dtype=torch.float64)


@pytest.mark.parametrize("by", [0.0, -3.0, float("nan"), float("inf")])
def test_a_divisor_that_cannot_be_stops_the_run_and_is_named(by):
    training = Trainer(config(), Dividing(LossConfig(), by), shards([5, 9, 4]), ALONE)
    before = [weights.detach().clone() for weights in training.model.parameters()]
    with pytest.raises(Diverged, match=r"Dividing\.divisor gives .*where a number above 0 is needed"):
        next(training.steps())
    assert all(torch.equal(*pair) for pair in zip(before, training.model.parameters(), strict=True))


def test_a_value_that_a_divisor_finds_wrong_is_told_as_that_of_a_row():
    wrong = BadValue("the score", float("nan"), 1, 4)
    with pytest.raises(Diverged, match="the score is nan at token 4"):
        next(Trainer(config(), Dividing(LossConfig(), wrong), shards([5, 9, 4]), ALONE).steps())
