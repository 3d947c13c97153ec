"""Losses of language model training: which tokens count, and the cross-entropy of those that do."""

from operators.learn.losses.config import LossConfig


def build_loss(config: LossConfig, references: int = 1):
    """Build the loss that was asked for (see losses/base.py); `references` counts the reference losses in the scores."""
    if config.name == "cross_entropy":
        from operators.learn.losses.cross_entropy import CrossEntropy

        return CrossEntropy(config)
    from operators.learn.losses.selective import Selective

    return Selective(config, references)
