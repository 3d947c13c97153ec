"""What comes of a step: its figures, or the reason why it was not taken."""

from dataclasses import dataclass

from operators.learn.training.data.feeding import Sample

NAMED = 5  # samples that a message names


@dataclass(frozen=True)
class StepResult:
    """One optimizer step, over all ranks. Losses are in nats per token; None where nothing says them, as in a step without any
    target: padding and prompts alone.

    `step` counts the steps done, this one included; `tokens_seen` the tokens of all rows read so far (padding too) and
    `tokens_trained` those that counted in the loss. `kept` is the share of the step's candidates that did. `loss` is what
    was minimised, `loss_kept` and `loss_left` the plain means of the tokens that counted and of the other candidates.
    `mfu` is the share of the devices' peak.
    """

    step: int
    loss: float | None
    grad_norm: float
    lr: float
    tokens_seen: int
    tokens_trained: int
    kept: float | None
    loss_kept: float | None
    loss_left: float | None
    seconds: float
    tokens_per_second: float
    mfu: float | None


class Diverged(RuntimeError):
    """A loss or the gradient of step `step` (from 1) is no finite number. Raised on all ranks, before any weight has changed."""

    def __init__(self, step: int, what: str, samples: list[Sample]):
        self.step, self.what, self.samples = step, what, samples
        named = ", ".join(map(str, samples[:NAMED])) + (", ..." if len(samples) > NAMED else "")
        super().__init__(
            f"step {step}: {what} ({len(samples)} rows: {named}). No weight was changed by it: what was saved before is good. "
            "Look at these rows and their scores; where they are sound, go on from an earlier state with a lower optimizer.lr."
        )

    def __reduce__(self):
        return Diverged, (self.step, self.what, self.samples)
