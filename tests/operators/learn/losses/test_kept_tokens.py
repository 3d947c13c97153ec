from dataclasses import replace

import numpy as np
import pytest

from operators.learn.losses.config import LossConfig
from operators.learn.losses.kept_tokens import kept_tokens
from tests.operators.learn.losses import oracle


def test_looking_shows_what_the_loss_would_train_on():
    dice = np.random.default_rng(0)
    defined = dice.random((3, 20)) > 0.2
    nll, reference = np.where(defined, 4 * dice.random((2, 3, 20)), np.nan).astype(np.float16)
    config = LossConfig(name="selective", scope="global")
    marks = kept_tokens(config, defined, {"reference_loss": reference}, nll)
    assert {tuple(map(int, place)) for place in np.argwhere(marks)} == oracle.kept(
        config, defined, {"reference_loss": reference}, nll
    )


@pytest.mark.parametrize("changes", [{"warmup_steps": 100}, {"temperature": 0.5}])
def test_a_warm_up_and_soft_weights_are_looked_through(changes):
    dice = np.random.default_rng(1)
    nll, reference = 4 * dice.random((2, 3, 20))
    defined, config = np.ones((3, 20), bool), LossConfig(name="selective")
    hard, seen = (
        kept_tokens(each, defined, {"reference_loss": reference}, nll) for each in (config, replace(config, **changes))
    )
    assert (seen == hard).all() and hard.sum(1).tolist() == [12] * 3
