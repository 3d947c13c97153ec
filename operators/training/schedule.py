"""The learning rate of a step."""

import math

from operators.training.config import ScheduleConfig


def learning_rate_share(step: int, steps: int, config: ScheduleConfig) -> float:
    """Give the learning rate of step `step` (from 0) of `steps` as a share of the peak, in [0, 1].

    The first step after the warm-up has the peak, the last step the least. Sources: cosine, SGDR, arXiv:1608.03983, eq. 5;
    wsd with a linear fall, MiniCPM, arXiv:2404.06395, section 4.
    """
    warmup = math.ceil(steps / 100) if config.warmup_steps is None else config.warmup_steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if config.name == "constant":
        return 1.0
    begin = warmup if config.name == "cosine" else max(warmup, steps - round(config.decay_share * steps))
    past = min(1.0, max(0.0, (step - begin) / max(1, steps - 1 - begin)))
    left = (1 + math.cos(math.pi * past)) / 2 if config.name == "cosine" else 1 - past
    return config.min_lr_share + (1 - config.min_lr_share) * left
