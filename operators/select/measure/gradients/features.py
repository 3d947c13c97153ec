"""Gradients of rows into features of LESS: preconditioned as Adam would, projected, of length 1.

Shapes: N rows, E of them in waiting, B of a batch; P weights of all adapters, p of one matrix; D dimensions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from operators.examples.base import ExampleConfig, NoExample
from operators.examples.prompting import Prompting, PromptingConfig, Tokens
from operators.models.lora import Moments
from operators.select.measure.base import (
    FORWARD_FAILED,
    NO_TARGET,
    ModelConfig,
    NotFinite,
    examples_in,
    features,
    vectors,
)
from operators.select.measure.gradients.adapters import AdapterGradients, targets
from operators.select.measure.gradients.config import GradientsConfig
from operators.select.measure.gradients.projection import Projection

# Bytes of features that wait to be projected together: the signs are made anew for each lot, so many rows should share them.
WAITING = {"cpu": 2**29, "cuda": 2**34}
MEAN, SQUARE, EPS = 0.9, 0.999, 1e-8  # of Adam, as LESS fixes them
NO_GRADIENT = "no_gradient"  # the adapters cannot change what is said of this row


class GradientFeatures:
    """The measure `gradients.Gradients` with its model at hand."""

    def __init__(
        self, config: GradientsConfig, examples: ExampleConfig, prompting: PromptingConfig, model: ModelConfig
    ):
        self.config, self.examples = config, examples
        moments = Moments.load(config.path)
        self.model = AdapterGradients(model, moments)
        limits = [limit for limit in (prompting.max_tokens, self.model.context) if limit]
        scored = prompting.score_eos is not False  # the warm-up learns it, and so does LESS's own code
        framing = replace(prompting, max_tokens=min(limits, default=None), score_eos=scored)
        self.prompting = Prompting(framing, self.model.name, examples.turns, released=config.released)
        self.model.check(self.prompting.tokenizer)
        device = self.model.device
        self.projection = Projection(config.dimensions, config.seed, device)
        self.moments = {
            name: (moments.means[name].flatten().to(device), moments.squares[name].flatten().to(device))
            for name in self.model.sizes
        }
        weights = sum(self.model.sizes.values())
        self.together = max(1, WAITING.get(device.type, WAITING["cuda"]) // (4 * weights))

    def __call__(self, rows: pa.Table) -> pa.Table:
        tokens, reasons = self._tokens(rows)
        readable = [row for row, reason in enumerate(reasons) if reason is None]
        features_ND = np.zeros((len(rows), self.config.dimensions), np.float16)
        for numbers_E, projected_ED in self._projected([tokens[row] for row in readable]):
            places_E = [readable[number] for number in numbers_E]
            if projected_ED is None:
                reasons[places_E[0]] = FORWARD_FAILED
                continue
            lengths_E = projected_ED.norm(dim=1)
            for place, length in zip(places_E, lengths_E.tolist(), strict=True):
                if not np.isfinite(length):
                    raise NotFinite(self.model.name, "gradient", [rows["id"][place].as_py()])
                if not length:
                    reasons[place] = NO_GRADIENT
            features_ND[places_E] = (projected_ED / lengths_E[:, None].clamp_min(1e-38)).half().cpu().numpy()
        known_N = np.array([reason is None for reason in reasons], dtype=bool)
        return features(rows, {"gradient": vectors(features_ND, known_N)}, reasons)

    def _tokens(self, rows: pa.Table) -> tuple[list[Tokens | None], list[str | None]]:
        """Give the tokens of each row, or why it cannot be measured."""
        found = examples_in(rows, self.examples)
        tokenised = iter(self.prompting.tokenise([example for example in found if not isinstance(example, str)]))
        each = [example if isinstance(example, str) else _checked(next(tokenised)) for example in found]
        tokens = [None if isinstance(one, str) else one for one in each]
        return tokens, [one if isinstance(one, str) else None for one in each]

    def _projected(self, examples: Sequence[Tokens]) -> Iterator[tuple[list[int], Tensor | None]]:
        """Project the features of examples, many together: their numbers, and (E, D) or None where there was no room."""
        most = min(self.together, max(1, len(examples)))
        waiting_EP = torch.empty(most, sum(self.model.sizes.values()), device=self.model.device)
        numbers: list[int] = []
        for numbers_B, gradients in self.model.of(examples, most):
            if gradients is None:
                yield numbers_B.tolist(), None
                continue
            if len(numbers) + len(numbers_B) > most:
                yield numbers, self._project(waiting_EP[: len(numbers)])
                numbers = []
            here, begin = slice(len(numbers), len(numbers) + len(numbers_B)), 0
            for name, gradient_Bp in gradients:
                end = begin + gradient_Bp.shape[1]
                waiting_EP[here, begin:end] = self._feature(name, gradient_Bp)
                begin = end
            numbers += numbers_B.tolist()
        if numbers:
            yield numbers, self._project(waiting_EP[: len(numbers)])

    def _feature(self, name: str, gradient_Bp: Tensor) -> Tensor:
        if self.config.kind == "target":
            return gradient_Bp
        mean_p, square_p = self.moments[name]
        mean_Bp = MEAN * mean_p + (1 - MEAN) * gradient_Bp
        square_Bp = SQUARE * square_p + (1 - SQUARE) * gradient_Bp.square()
        return mean_Bp / (square_Bp + EPS).sqrt_()

    def _project(self, features_EP: Tensor) -> Tensor:
        projected_ED = features_EP.new_zeros(len(features_EP), self.config.dimensions)
        self.projection.add(features_EP, projected_ED)
        return projected_ED


def _checked(tokens: Tokens | NoExample) -> Tokens | str:
    """Give the tokens of an example that can be measured, else a reason."""
    if isinstance(tokens, NoExample):
        return tokens.reason
    return tokens if targets(tokens).any() else NO_TARGET
