"""Features of LESS: what training on a row would do to the adapters (LoRA) of a model at a checkpoint of its warm-up.

Source: LESS, arXiv:2402.04333, section 4; the formulas are those of its code, https://github.com/princeton-nlp/LESS.
"""

import pyarrow as pa

from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.examples.prompting import PromptingConfig
from operators.select.measure.base import ModelConfig
from operators.select.measure.gradients.config import GradientsConfig


class Gradients:
    """Add `gradient`, float16 of length 1: the projected feature of each row.

    With g the gradient of the mean loss of the answer's tokens, dropout off, a target's feature is g itself, a training row's
    m' / sqrt(v' + 1e-8) with m' = 0.9 m + 0.1 g and v' = 0.999 v + 0.001 g^2, of Adam's means m and v at the checkpoint. The
    token that ends an answer is one of its tokens, as it is learned in training, unless `prompting.score_eos` is false. After it
    LESS's code writes a line end, which it learns too: it has no use to a model that stops, and is read with `config.released`.
    A row without a feature has a reason: no_target, too_long, no_gradient (it is 0), or why it is no example.

    `model` is the one that the adapters were trained beside. Raises BadRequest where the two do not belong together, and
    NotFinite for a gradient that is no number.
    """

    def __init__(
        self, config: GradientsConfig, examples: ExampleConfig, prompting: PromptingConfig, model: ModelConfig
    ):
        from operators.select.measure.gradients.features import GradientFeatures

        if not config.path:
            raise BadRequest("gradients.path is not given: the folder of a checkpoint with moments.")
        self._features = GradientFeatures(config, examples, prompting, model)

    def __call__(self, rows: pa.Table) -> pa.Table:
        return self._features(rows)
