import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from operators.errors import BadRequest
from operators.learn.losses import build_loss
from operators.learn.losses.config import LossConfig
from operators.learn.training.config import BatchConfig, ScheduleConfig
from operators.learn.training.data.feeding import Feeder
from operators.learn.training.data.order import DataOrder
from operators.learn.training.loop import Trainer, decoder_layers
from operators.learn.training.objective import on_device
from operators.learn.training.parallel import World
from operators.learn.training.results import Diverged
from operators.learn.training.schedule import learning_rate_share
from operators.tokens.rows import rows_of
from tests.operators.learn.training.small import config, packed, shards

pytestmark = pytest.mark.model
ALONE = World(0, 1, torch.device("cpu"))
PLAIN, SELECTIVE = LossConfig(), LossConfig(name="selective", keep=0.5)


def trainer(loss: LossConfig = PLAIN, **changes) -> Trainer:
    made = build_loss(loss)
    return Trainer(config(**changes), made, shards([5, 9, 4], made.columns), ALONE)


def weights(training: Trainer) -> dict:
    return {name: values.detach().clone() for name, values in training.model.named_parameters()}


def assert_equal(left: dict, right: dict) -> None:
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_steps_are_those_of_a_plain_loop_in_torch():
    """The same model, order and settings, written down in the plainest way: full logits, masked mean, clip, AdamW."""
    training = trainer(batch=BatchConfig(rows=6, micro_rows=2), schedule=ScheduleConfig(warmup_steps=1))
    plain = trainer().model
    decayed = [p for p in plain.parameters() if p.ndim == 2]
    others = [p for p in plain.parameters() if p.ndim != 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed}, {"params": others, "weight_decay": 0}], betas=(0.9, 0.95), weight_decay=0.1
    )
    feeding = Feeder(training.shards, DataOrder(training.shards.rows, 0, 8))
    for number, result in enumerate(training.steps()):
        batch = on_device(feeding.batch(range(6 * number, 6 * number + 6)), ALONE.device)
        logits = plain(input_ids=batch.tokens_BT, position_ids=batch.positions_BT, use_cache=False).logits
        labels = batch.tokens_BT.masked_fill(~batch.defined_BT, -100)
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * learning_rate_share(number, 3, ScheduleConfig(warmup_steps=1))
        optimizer.step()
        optimizer.zero_grad()
        assert result.loss == pytest.approx(loss.item(), rel=1e-5)
        assert result.grad_norm == pytest.approx(norm.item(), rel=1e-4)
    for name, values in plain.named_parameters():
        torch.testing.assert_close(weights(training)[name], values.detach(), rtol=1e-4, atol=1e-5)


def test_keeping_all_tokens_is_cross_entropy():
    plain, selective = trainer(), trainer(replace(SELECTIVE, keep=1.0))
    assert [r.loss for r in plain.steps()] == pytest.approx([r.loss for r in selective.steps()], rel=1e-6)
    for name, values in weights(plain).items():
        torch.testing.assert_close(weights(selective)[name], values, rtol=1e-5, atol=1e-6)


def test_a_run_learns_and_counts_what_it_read_and_what_it_trained_on():
    results = list(trainer(SELECTIVE, steps=30, batch=BatchConfig(rows=18)).steps())
    assert results[-1].loss < results[0].loss - 0.5
    assert [r.tokens_seen for r in results] == [18 * 16 * step for step in range(1, 31)]
    assert all(0.4 < r.kept <= 0.5 for r in results)
    assert results[-1].tokens_trained < results[-1].tokens_seen / 2
    assert results[0].loss_kept == pytest.approx(results[0].loss, rel=1e-6)
    assert results[0].loss_left is not None and 0 < results[0].mfu < 1


def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path):
    whole = trainer(SELECTIVE, steps=6)
    losses = [r.loss for r in whole.steps()]
    first = trainer(SELECTIVE, steps=6)
    for result in first.steps():
        if result.step == 3:
            first.save_state(tmp_path / "state")
            break
    second = trainer(SELECTIVE, steps=6)
    second.restore(tmp_path / "state")
    results = list(second.steps())
    assert [r.loss for r in results] == losses[3:] and [r.step for r in results] == [4, 5, 6]
    assert (second.tokens_seen, second.tokens_trained) == (whole.tokens_seen, whole.tokens_trained)
    assert_equal(weights(second), weights(whole))


def test_evaluating_and_saving_between_steps_change_nothing(tmp_path):
    busy, plain = trainer(), trainer()
    table = busy.shards.load(0)[0]
    for result in busy.steps():
        assert math.isfinite(busy.evaluate(table).loss)
        busy.save_state(tmp_path / str(result.step))
        busy.save_model(tmp_path / f"model-{result.step}")
    list(plain.steps())
    assert_equal(weights(busy), weights(plain))


def test_dropout_is_the_same_after_a_resumption(tmp_path):
    def with_dropout() -> Trainer:
        training = trainer(steps=4)
        for layer in decoder_layers(training.model):
            layer.self_attn.attention_dropout = 0.5
        return training

    whole, first, second = with_dropout(), with_dropout(), with_dropout()
    losses = [r.loss for r in whole.steps()]
    steps = first.steps()
    assert next(steps).loss == losses[0] != next(trainer(steps=4).steps()).loss
    first.save_state(tmp_path / "state")
    second.restore(tmp_path / "state")
    torch.manual_seed(99)
    assert [r.loss for r in second.steps()] == losses[1:]


def test_what_is_not_a_number_ends_the_run_before_it_harms_anything(tmp_path):
    training = trainer(steps=9)
    steps = training.steps()
    next(steps), next(steps)
    training.save_state(tmp_path / "state")
    saved = {file.name: file.read_bytes() for file in (tmp_path / "state").iterdir()}
    before = weights(training)
    name = training.shards.load(1)[0]["id"][0].as_py()
    original = training.objective.forward

    def poisoned(batch, *rest):  # a hidden state of one row of shard 1 goes wrong
        found = [i for i, row in enumerate(batch.tokens_BT) if torch.equal(row, poison_T)]
        with torch.no_grad():
            embedding = training.model.get_input_embeddings()
            hook = embedding.register_forward_hook(
                lambda _, __, out: out.index_fill(0, torch.tensor(found, dtype=torch.long), math.nan)
            )
        try:
            return original(batch, *rest)
        finally:
            hook.remove()

    poison_T = torch.tensor(training.shards.load(1)[0]["tokens"][0].as_py())
    training.objective.forward = poisoned
    with pytest.raises(Diverged) as caught:
        list(steps)
    assert [str(sample) for sample in caught.value.samples] == [f"{name!r} of shard 1"]
    assert f"step {training.step + 1}: the loss is not finite" in str(caught.value)
    if training.step == 2:
        assert_equal(weights(training), before)
    assert {file.name: file.read_bytes() for file in (tmp_path / "state").iterdir()} == saved
    training.objective.forward = original
    training.restore(tmp_path / "state")
    assert_equal(weights(training), before)
    assert len(list(training.steps())) == 7


def test_a_gradient_that_is_not_a_number_ends_the_run():
    training = trainer()
    before = weights(training)
    training.model.get_input_embeddings().register_forward_hook(
        lambda _, __, out: out.register_hook(lambda gradient: gradient * math.inf) and None
    )
    with pytest.raises(Diverged, match="the norm of the gradient is"):
        next(training.steps())
    assert_equal(weights(training), before)


def test_diverged_travels_between_processes():
    import pickle

    error = Diverged(3, "the loss is not finite", [])
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.step) == (str(error), 3)


def test_other_rows_than_those_of_the_state_are_refused(tmp_path):
    trainer().save_state(tmp_path / "state")
    with pytest.raises(BadRequest, match="other rows"):
        trainer(seed=1).restore(tmp_path / "state")


def test_a_step_that_keeps_no_candidate_has_no_loss_and_no_gradient():
    training = trainer(replace(SELECTIVE, keep=1e-9))
    results = list(training.steps())
    assert [(r.loss, r.grad_norm, r.kept, r.tokens_trained) for r in results] == [(None, 0, 0, 0)] * 3


def test_a_step_without_any_target_has_no_loss_and_no_gradient():
    rows = rows_of(packed(8))
    prompts = replace(rows, targets_RT=np.zeros_like(rows.targets_RT)).table()
    training = Trainer(config(), build_loss(PLAIN), shards([8], tables={0: prompts}), ALONE)
    results = list(training.steps())
    told = [(r.loss, r.loss_kept, r.kept, r.grad_norm, r.tokens_trained) for r in results]
    assert told == [(None, None, None, 0, 0)] * 3 and results[-1].tokens_seen == 3 * 8 * 16


LEFT_OPEN = """
from tests.operators.learn.training.test_loop import trainer
steps = trainer().steps()
next(steps)
"""


def test_steps_that_are_left_open_at_the_end_of_the_process_end_without_noise():
    done = subprocess.run([sys.executable, "-c", LEFT_OPEN], capture_output=True, text=True, check=True)
    assert done.stderr == ""
