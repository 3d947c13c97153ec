"""Which tokens are trained on, and how their losses are averaged. Nothing here needs torch."""

import math
from dataclasses import dataclass

from operators.errors import BadRequest
from operators.learn.losses import LOSSES
from operators.settings import setting

SCORES = ("excess", "reference_loss", "reference_entropy", "intersection", "union")
SCOPES = ("sequence", "microbatch", "global")
NORMALISATIONS = ("tokens", "sequence_mean")
COMBINATIONS = ("mean", "min", "mixture")


@dataclass
class LossConfig:
    """The loss of a training run. Rho-1, arXiv:2404.07965, section 2.2 and its self-reference of version 4."""

    name: str = setting("cross_entropy", ", ".join(entry.choice for entry in LOSSES.values()))
    score: str = setting(
        "excess",
        "what makes a token good: excess (loss above the reference's), low reference_loss, low reference_entropy, "
        "the intersection or the union of the last two",
    )
    keep: float = setting(0.6, "share of the candidates to train on, in (0, 1]")
    keep_entropy: float | None = setting(
        None, "intersection, union: share kept by reference_entropy; null takes loss.keep"
    )
    scope: str = setting(
        "sequence", "tokens that compete: those of a sequence (row), a microbatch of one device, or global: of the step"
    )
    normalise: str = setting(
        "tokens", "mean over all tokens trained on in the step, or sequence_mean: over the means of the sequences"
    )
    warmup_steps: int = setting(0, "optimizer steps in which the share goes from 1 down to loss.keep, in a line")
    min_keep: int = setting(0, "least tokens kept where there are candidates: 0 or 1 (of each set of a combined score)")
    temperature: float | None = setting(
        None, "null chooses; a number, in nats, weighs by sigmoid((score - boundary) / temperature) instead"
    )
    combine: str = setting("mean", "losses of several references: mean, min, or mixture (of their probabilities)")
    eos: bool = setting(True, "whether the token that ends a document is trained on")

    def __post_init__(self):
        self._check_choice("name", tuple(LOSSES))
        self._check_choice("score", SCORES)
        self._check_choice("scope", SCOPES)
        self._check_choice("normalise", NORMALISATIONS)
        self._check_choice("combine", COMBINATIONS)
        self._check_choice("min_keep", (0, 1))
        for name in ("keep", "keep_entropy"):
            share = getattr(self, name)
            if share is not None and not 0 < share <= 1:
                raise BadRequest(f"loss.{name} is a share in (0, 1], got {share}. For 60% write 0.6.")
        if self.warmup_steps < 0:
            raise BadRequest(f"loss.warmup_steps is a number of steps from 0, got {self.warmup_steps}.")
        if self.temperature is not None and not 0 < self.temperature < math.inf:
            raise BadRequest(
                f"loss.temperature is a number of nats above 0, got {self.temperature}. For a plain choice write null."
            )

    def _check_choice(self, name: str, allowed: tuple) -> None:
        given = getattr(self, name)
        if given not in allowed:
            raise BadRequest(f"loss.{name} is {given!r}. It may be {', '.join(map(str, allowed))}.")
