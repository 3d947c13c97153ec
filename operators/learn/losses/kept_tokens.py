"""Which tokens a loss would train on, for those who only want to look."""

from dataclasses import replace

import numpy as np
import torch

from operators.learn.losses import build_loss
from operators.learn.losses.base import LossRows
from operators.learn.losses.config import LossConfig


def kept_tokens(
    config: LossConfig, defined_RT: np.ndarray, columns: dict[str, np.ndarray], nll_RT: np.ndarray, references: int = 1
) -> np.ndarray:
    """Tell which tokens of R rows of T a loss chooses after its warm-up: bool (R, T).

    Losses and scores are in nats, NaN where undefined. With a temperature all weights are above 0: then it is the choice that
    they soften.
    """
    loss = build_loss(replace(config, temperature=None), references)
    read = {name: torch.from_numpy(columns[name].astype(np.float32)) for name in loss.columns}
    nll = torch.from_numpy(nll_RT.astype(np.float32))
    rows = LossRows(torch.from_numpy(defined_RT), read, config.warmup_steps, nll)
    return (loss(rows) > 0).numpy()
