"""What every loss of the table keeps."""

import pytest
import torch

from operators.learn.losses import LOSSES, build_loss
from operators.learn.losses.base import Loss, LossRows
from operators.learn.losses.config import SCOPES, SCORES, LossConfig

R, T = 3, 8
CONFIGS = [
    LossConfig(name=name, score=score, scope=scope, normalise=normalise)
    for name in LOSSES
    for score in SCORES
    for scope in SCOPES
    for normalise in ("tokens", "sequence_mean")
]


def rows_for(loss: Loss) -> LossRows:
    generator = torch.Generator().manual_seed(0)
    defined_RT = torch.rand(R, T, generator=generator) > 0.4
    defined_RT[0] = False
    columns = {name: _known(defined_RT, generator) for name in loss.columns}
    return LossRows(defined_RT, columns, 5, _known(defined_RT, generator) if loss.needs_nll else None)


def _known(defined_RT, generator):
    return torch.rand(R, T, generator=generator).masked_fill(~defined_RT, torch.nan)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_says_in_a_line_what_it_does(name):
    entry = LOSSES[name]
    assert entry.summary and name in LossConfig.__dataclass_fields__["name"].metadata["doc"]
    assert issubclass(entry.loss_class(), Loss)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.name}-{c.score}-{c.scope}-{c.normalise}")
def test_a_loss_weighs_what_it_says_that_it_reads(config):
    loss = build_loss(config)
    assert isinstance(loss.columns, tuple) and isinstance(loss.needs_nll, bool) and loss.scope in SCOPES
    rows = rows_for(loss)
    weights_RT = loss(rows)
    assert weights_RT.shape == (R, T) and weights_RT.dtype == torch.float32 and not weights_RT.requires_grad
    assert (weights_RT >= 0).all() and weights_RT.any() and not weights_RT[~rows.defined_RT].any()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.name}-{c.score}-{c.scope}-{c.normalise}")
def test_shares_of_the_divisor_add_up(config):
    loss = build_loss(config)
    rows = rows_for(loss)
    weights_RT = loss(rows)
    nll_RT = torch.zeros(R, T) if rows.nll_RT is None else rows.nll_RT
    shares = [
        loss.divisor(weights_RT[row : row + 1], rows.part(slice(row, row + 1), nll_RT[row : row + 1]))
        for row in range(R)
    ]
    assert all(share.dtype == torch.float64 and not share.shape for share in shares)
    whole = loss.divisor(weights_RT, rows).item()
    assert shares[0] == 0 and whole > 0 and sum(shares).item() == pytest.approx(whole)
