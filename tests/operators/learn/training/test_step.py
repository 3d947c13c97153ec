from types import SimpleNamespace

import pytest
import torch

from operators.learn.losses.base import BadValue, Loss
from operators.learn.training.config import BatchConfig
from operators.learn.training.loop import Trainer, decoder_layers
from operators.learn.training.parallel import World
from tests.operators.learn.training.small import config, shards

pytestmark = pytest.mark.model


class Recording(Loss):
    """A loss that trains on every token and notes what it was shown."""

    def __init__(self, scope: str, needs_nll: bool):
        self.scope, self.needs_nll, self.columns, self.shown = scope, needs_nll, ("reference_loss",), []

    def __call__(self, rows):
        assert (rows.nll_RT is not None) == self.needs_nll
        if self.needs_nll:
            assert rows.nll_RT[rows.defined_RT].isfinite().all()
        assert not rows.columns["reference_loss"].requires_grad
        self.shown.append((rows.step, rows.first_row, len(rows.defined_RT)))
        return rows.defined_RT.float()


def shown_to(scope: str, needs_nll: bool, micro_rows: int) -> list:
    loss = Recording(scope, needs_nll)
    batch = BatchConfig(rows=6, micro_rows=micro_rows)
    training = Trainer(config(batch=batch), loss, shards([9], loss.columns), World(0, 1, torch.device("cpu")))
    steps = training.steps()
    next(steps), next(steps)
    return loss.shown


@pytest.mark.parametrize("needs_nll", [True, False])
@pytest.mark.parametrize("micro_rows", [6, 2])
def test_a_global_loss_sees_the_whole_step_once(needs_nll, micro_rows):
    assert shown_to("global", needs_nll, micro_rows) == [(0, 0, 6), (1, 0, 6)]


@pytest.mark.parametrize("needs_nll", [True, False])
def test_a_microbatch_loss_sees_each_micro_batch_whole(needs_nll):
    assert shown_to("microbatch", needs_nll, 2) == [(step, first, 2) for step in (0, 1) for first in (0, 2, 4)]


def test_the_rows_of_a_sequence_loss_are_known_by_their_place_in_the_step():
    shown = shown_to("sequence", True, 2)
    assert [first + row for step, first, rows in shown if step == 1 for row in range(rows)] == list(range(6))


def test_a_rejected_row_is_not_forgotten_and_the_passes_go_on():
    from operators.learn.training.step import Step

    class Rejecting(Recording):
        def __call__(self, rows):
            raise BadValue("the score", float("inf"), rows.first_row + 1, 3)

    calls = []

    def weighted(weights_RT):
        return SimpleNamespace(weights_RT=weights_RT, sums=lambda: [torch.zeros(())] * 5)

    def objective(batch, rows, weigh):
        weights_RT = weigh(rows)
        calls.append(weights_RT)
        return torch.zeros((), requires_grad=True), weighted(weights_RT)

    step = Step(objective, Rejecting("microbatch", False), World(0, 1, torch.device("cpu")), 0, [[2, 3]], seed=0)
    batches = [SimpleNamespace(defined_BT=torch.ones(rows, 4, dtype=torch.bool), columns={}) for rows in (2, 3)]
    sums = step.run(batches)
    assert step.bad == {1: "the score is inf at token 3", 3: "the score is inf at token 3"}
    assert sums.bad == 1 and [weights.sum() for weights in calls] == [0, 0]


class Comparing(Recording):
    """Notes the losses by which it chose."""

    def __call__(self, rows):
        self.chosen_by = rows.nll_RT
        return super().__call__(rows)


def test_tokens_are_chosen_by_the_losses_that_they_are_trained_by_also_under_dropout():
    loss = Comparing("global", True)
    batch = BatchConfig(rows=6, micro_rows=2)
    training = Trainer(config(batch=batch), loss, shards([9], loss.columns), World(0, 1, torch.device("cpu")))
    for layer in decoder_layers(training.model):
        layer.self_attn.attention_dropout = 0.5
    forward, trained = training.objective.forward, []

    def noting(*arguments):
        result = forward(*arguments)
        trained.extend([result[1].nll_RT] if isinstance(result, tuple) else [])
        return result

    training.objective.forward = noting
    next(training.steps())
    assert torch.equal(torch.cat(trained).nan_to_num(), loss.chosen_by.nan_to_num())
    assert loss.chosen_by.nansum() > 0
