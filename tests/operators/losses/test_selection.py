import numpy as np

from operators.losses.config import LossConfig
from operators.losses.selection import kept_tokens
from tests.operators.losses import oracle


def test_looking_shows_what_the_loss_would_train_on():
    dice = np.random.default_rng(0)
    defined = dice.random((3, 20)) > 0.2
    nll, reference = np.where(defined, 4 * dice.random((2, 3, 20)), np.nan).astype(np.float16)
    config = LossConfig(name="selective", scope="global")
    marks = kept_tokens(config, defined, {"reference_loss": reference}, nll)
    assert {tuple(map(int, place)) for place in np.argwhere(marks)} == oracle.kept(
        config, defined, {"reference_loss": reference}, nll
    )
