"""Ranks, micro-batches and one plain batch are the same training."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from operators.learn.losses import build_loss
from operators.learn.losses.base import Loss
from operators.learn.losses.config import LossConfig
from operators.learn.training.config import BatchConfig
from operators.learn.training.loop import Trainer
from operators.learn.training.parallel import World, whole
from operators.learn.training.results import Diverged
from tests.operators.learn.training.even_places import EvenPlaces
from tests.operators.learn.training.ranks import in_ranks
from tests.operators.learn.training.small import config, packed, scored, shards

pytestmark = pytest.mark.model
LOSSES = {
    "cross entropy": LossConfig(),
    "selective, sequence": LossConfig(name="selective"),
    "selective, global": LossConfig(name="selective", scope="global"),
    "static, global": LossConfig(name="selective", scope="global", score="reference_loss"),
    "sequence mean": LossConfig(name="selective", normalise="sequence_mean"),
    "by all candidates": EvenPlaces(LossConfig()),
}
ONE_BATCH, MICRO_BATCHES, ONE_ROW = BatchConfig(rows=7, micro_rows=7), BatchConfig(rows=7, micro_rows=2), BatchConfig(1)


def trainer(world: World, loss: LossConfig | Loss, batch: BatchConfig, **changes) -> Trainer:
    made = loss if isinstance(loss, Loss) else build_loss(loss)
    return Trainer(config(batch=batch, **changes), made, shards([5, 9, 0, 4], made.columns), world)


def trained(world: World, loss: LossConfig | Loss, batch: BatchConfig, **changes) -> tuple[dict, list]:
    """Train a little: the weights, and the figures of each step."""
    training = trainer(world, loss, batch, **changes)
    figures = [(r.loss, r.grad_norm, r.tokens_trained, r.kept, r.loss_kept, r.loss_left or 0) for r in training.steps()]
    evaluation = training.evaluate(packed(5, seed=77))
    return weights(training), [*figures, (evaluation.loss, evaluation.tokens)]


def weights(training: Trainer) -> dict:
    return {name: whole(parameter.detach()).clone() for name, parameter in training.model.named_parameters()}


def with_each_loss(world: World, batch: BatchConfig, **changes) -> dict:
    return {name: trained(world, loss, batch, **changes) for name, loss in LOSSES.items()}


def half_precision(world: World) -> tuple:
    return trained(world, LOSSES["selective, global"], MICRO_BATCHES, precision="bfloat16")


def meets_a_bad_score(world: World, scope: str) -> str:
    """One score of one row is NaN where it must not be, and one rank alone reads that row."""
    table = packed(6)
    scores = scored(table)
    losses = scores["reference_loss"].to_pylist()
    losses[4] = [float("nan")] * 16
    bad = scores.set_column(2, "reference_loss", pa.array(losses, scores.schema.field(2).type))
    loss = build_loss(LossConfig(name="selective", scope=scope))
    of = replace(shards([6], loss.columns), load=lambda _: (table, bad))
    training = Trainer(config(batch=BatchConfig(rows=6, micro_rows=2)), loss, of, world)
    before = weights(training)
    with pytest.raises(Diverged) as caught:
        next(training.steps())
    assert all(torch.equal(values, before[name]) for name, values in weights(training).items())
    return str(caught.value)


def saves(world: World, folder: Path) -> dict:
    """Train, and save in the middle."""
    training = trainer(world, LOSSES["selective, global"], MICRO_BATCHES)
    for result in training.steps():
        if result.step == 2:
            training.save_state(folder / "state")
            training.save_model(folder / "model")
    return weights(training)


def all_that_ranks_do(world: World, folder: Path) -> dict:
    """Do all that is looked at below in one go: to start ranks takes longer than what they do."""
    return {
        "one batch": with_each_loss(world, ONE_BATCH),
        "micro-batches": with_each_loss(world, MICRO_BATCHES),
        "checkpointing": with_each_loss(world, MICRO_BATCHES, activation_checkpointing=True),
        "one row": with_each_loss(world, ONE_ROW),
        "bfloat16": half_precision(world),
        "bad score": [meets_a_bad_score(world, scope) for scope in ("sequence", "global")],
        "saved": saves(world, folder),
    }


def alone() -> World:
    return World(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def ranks(folder) -> list[dict]:
    """What came of it in each of two ranks."""
    return in_ranks(2, all_that_ranks_do, folder)


@pytest.fixture(scope="module")
def plain() -> dict:
    """Each loss, in one process and one batch."""
    return with_each_loss(alone(), ONE_BATCH)


def assert_same(given: dict, expected: dict) -> None:
    for name, (expected_weights, expected_figures) in expected.items():
        given_weights, given_figures = given[name]
        for step, (ours, theirs) in enumerate(zip(expected_figures, given_figures, strict=True)):
            assert theirs == pytest.approx(ours, rel=2e-5), (name, step)
        assert_close(given_weights, expected_weights)


def assert_close(given: dict, expected: dict) -> None:
    for key, values in expected.items():
        torch.testing.assert_close(given[key], values, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("micro_rows", [1, 3])
def test_micro_batches_are_one_batch(plain, micro_rows):
    assert_same(with_each_loss(alone(), BatchConfig(rows=7, micro_rows=micro_rows)), plain)


@pytest.mark.parametrize("way", ["one batch", "micro-batches", "checkpointing"])
def test_sharded_ranks_are_one_process(ranks, plain, way):
    for of_rank in ranks:
        assert_same(of_rank[way], plain)


def test_ranks_hold_the_same_model(ranks):
    for name in LOSSES:
        first, second = (of_rank["micro-batches"][name][0] for of_rank in ranks)
        assert all(torch.equal(second[key], first[key]) for key in first)


def test_a_rank_without_rows_joins(ranks):
    assert_same(ranks[0]["one row"], with_each_loss(alone(), ONE_ROW))


def test_bfloat16_is_float32_up_to_its_rounding(ranks, plain):
    for given_weights, figures in (half_precision(alone()), ranks[0]["bfloat16"]):
        expected = plain["selective, global"][1]
        assert [figure[0] for figure in figures] == pytest.approx([figure[0] for figure in expected], rel=5e-3)
        assert figures[0][0] != expected[0][0]
        assert all(values.dtype == torch.float32 for values in given_weights.values())


def test_all_ranks_name_the_row_that_one_of_them_met(ranks):
    first, second = (of_rank["bad score"] for of_rank in ranks)
    assert first == second == [meets_a_bad_score(alone(), scope) for scope in ("sequence", "global")]
    for message in first:
        assert message.startswith("step 1: reference_loss is nan") and "(1 rows: 's0r4' of shard 0)" in message


def test_a_state_of_two_ranks_goes_on_in_one(ranks, folder):
    training = trainer(alone(), LOSSES["selective, global"], MICRO_BATCHES)
    training.restore(folder / "state")
    assert [result.step for result in training.steps()] == [3]
    assert_close(weights(training), ranks[0]["saved"])


def test_the_model_of_two_ranks_is_the_state_of_two_ranks(ranks, folder):
    from operators.models.causal_lm import load_causal_lm

    training = trainer(alone(), LOSSES["selective, global"], MICRO_BATCHES)
    training.restore(folder / "state")
    saved = dict(load_causal_lm(str(folder / "model")).named_parameters())
    assert saved.keys() == weights(training).keys()
    assert all(torch.equal(saved[name], values) for name, values in weights(training).items())
