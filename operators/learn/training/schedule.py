"""The learning rate of a step."""

import math

from operators.learn.training.config import ScheduleConfig


def learning_rate_share(step: int, steps: int, config: ScheduleConfig) -> float:
    """Give the learning rate of step `step` (from 0) of `steps` as a share of the peak, in [0, 1].

    The warm-up leaves one step at least. Linear falls from the peak, which the first step after it has, to what would be 0
    after the last step. Cosine falls from the peak, which the first step after it has; the first of the
    steps in which wsd falls is below the peak already. The last step of the latter two has the least. Sources: cosine, SGDR,
    arXiv:1608.03983, eq. 5; wsd with a linear fall, MiniCPM, arXiv:2404.06395, section 4.
    """
    warmup = min(math.ceil(steps / 100) if config.warmup_steps is None else config.warmup_steps, steps - 1)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if config.name == "linear":
        return (steps - step) / (steps - warmup)
    if config.name == "cosine":
        left = _cosine(step - warmup, steps - 1 - warmup)
    elif config.name == "wsd" and config.decay_share:
        decay = max(1, math.ceil(config.decay_share * steps - 1e-9))
        begin = max(warmup, steps - decay)
        left = 1 - max(0, step - begin + 1) / (steps - begin)
    else:
        return 1.0
    return config.min_lr_share + (1 - config.min_lr_share) * left


def _cosine(step: int, last: int) -> float:
    return (1 + math.cos(math.pi * step / last)) / 2 if last else 0.0
