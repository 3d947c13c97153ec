import subprocess
import sys

import pytest

from operators.errors import BadRequest
from operators.learn.losses import build_loss
from operators.learn.losses.config import LossConfig


def test_a_percentage_is_told_to_be_a_share():
    with pytest.raises(BadRequest, match=r"loss\.keep is a share in \(0, 1\], got 60\. For 60% write 0\.6\."):
        LossConfig(keep=60)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "rho"},
        {"score": "highest_loss"},
        {"keep": 0},
        {"keep": float("nan")},
        {"keep_entropy": 1.1},
        {"scope": "batch"},
        {"normalise": "mean"},
        {"warmup_steps": -1},
        {"min_keep": 2},
        {"temperature": 0},
        {"temperature": float("inf")},
        {"temperature": float("nan")},
        {"combine": "max"},
    ],
)
def test_impossible_settings_are_refused_by_name(wrong):
    (name,) = wrong
    with pytest.raises(BadRequest, match=rf"loss\.{name} "):
        LossConfig(**wrong)


def test_the_settings_can_be_read_without_torch():
    check = "import sys, operators.learn.losses.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0


@pytest.mark.parametrize(
    ("settings", "references", "columns", "needs_nll"),
    [
        ({"name": "cross_entropy"}, 1, (), False),
        ({}, 1, ("reference_loss",), True),
        ({}, 2, ("reference_loss_1", "reference_loss_2"), True),
        ({"score": "reference_loss"}, 1, ("reference_loss",), False),
        ({"score": "reference_entropy"}, 1, ("reference_entropy",), False),
        ({"score": "union"}, 1, ("reference_loss", "reference_entropy"), False),
    ],
)
def test_a_loss_says_which_scores_it_reads(settings, references, columns, needs_nll):
    loss = build_loss(LossConfig(**{"name": "selective"} | settings), references)
    assert (loss.columns, loss.needs_nll) == (columns, needs_nll)


def test_entropies_of_several_references_are_refused():
    with pytest.raises(BadRequest, match="entropy of one reference"):
        build_loss(LossConfig(name="selective", score="intersection"), references=2)
