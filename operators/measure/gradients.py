"""Features of LESS: what training on a row would do to the adapters (LoRA) of a model at a checkpoint of its warm-up.

Source: LESS, arXiv:2402.04333, section 4; the formulas are those of its code, https://github.com/princeton-nlp/LESS.
"""

from dataclasses import dataclass

import pyarrow as pa

from operators.errors import BadRequest
from operators.examples import ExampleConfig
from operators.measure.base import ModelConfig
from operators.prompting import PromptingConfig
from operators.settings import setting

KINDS = ("train", "target")


@dataclass
class GradientsConfig:
    """`path` is the checkpoint of adapters: where it lies decides nothing."""

    path: str | None = setting(
        None, "checkpoint of a training of adapters: a folder with moments (checkpoint.moments=true)", identity=False
    )
    kind: str = setting("train", "train: the step that Adam would take; target: the gradient itself")
    dimensions: int = setting(8192, "dimensions that gradients are projected to")
    seed: int = setting(0, "of the projection")

    def __post_init__(self):
        if self.kind not in KINDS:
            raise BadRequest(f"gradients.kind is {self.kind!r}. It may be {' or '.join(KINDS)}.")
        if self.dimensions < 1:
            raise BadRequest(f"gradients.dimensions is a number from 1, got {self.dimensions}.")


class Gradients:
    """Add `gradient`, float16 of length 1: the projected feature of each row.

    With g the gradient of the mean loss of the answer's tokens, dropout off, a target's feature is g itself, a training row's
    m' / sqrt(v' + 1e-8) with m' = 0.9 m + 0.1 g and v' = 0.999 v + 0.001 g^2, of Adam's means m and v at the checkpoint.
    A row without a feature has a reason: no_target, too_long, no_gradient (it is 0), or why it is no example.

    `model` is the one that the adapters were trained beside. Raises BadRequest where the two do not belong together, and
    NotFinite for a gradient that is no number.
    """

    def __init__(
        self, config: GradientsConfig, examples: ExampleConfig, prompting: PromptingConfig, model: ModelConfig
    ):
        from operators.measure.gradient_features import GradientFeatures

        if not config.path:
            raise BadRequest("gradients.path is not given: the folder of a checkpoint with moments.")
        self._features = GradientFeatures(config, examples, prompting, model)

    def __call__(self, rows: pa.Table) -> pa.Table:
        return self._features(rows)
