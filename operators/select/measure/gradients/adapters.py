"""The gradient of each example's loss with respect to the adapters (LoRA) of a model, for many examples in one backward.

An adapter's matrix is a linear layer: the gradient of one example is the product of what went into the layer and what came
back out of the loss, summed over the example's own tokens. Examples do not see each other, so one backward pass of the sum of
their losses gives what comes back for all of them, and no example is run alone.

Shapes: B examples of a batch, padded to L tokens; a layer has I inputs and O outputs; H hidden units.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from operators.errors import BadRequest
from operators.examples.prompting import Tokens
from operators.learn.losses.base import LossRows
from operators.learn.losses.fused import weighted_cross_entropy
from operators.models.causal_lm import hidden_states
from operators.models.contexts import batched
from operators.models.lora import ADAPTER, Moments, adapted
from operators.select.measure.base import ModelConfig
from operators.select.measure.reading.local_model import LocalModel


class AdapterGradients:
    """A model with the adapters of a checkpoint, dropout off. Raises BadRequest where they do not belong together."""

    def __init__(self, config: ModelConfig, moments: Moments):
        self.model = LocalModel(config)
        moments.put_on(self.model.network)
        self.model.network.eval()
        self.device, self.context, self.name = self.model.device, self.model.context, self.model.name
        self.check = self.model.check
        self._matrices = {
            f"{name}.{kind}.{ADAPTER}.weight": getattr(layer, kind)[ADAPTER]
            for name, layer in adapted(self.model.network)
            for kind in ("lora_A", "lora_B")
        }
        self._seen: dict[str, tuple[Tensor, Tensor]] = {}
        for name, layer in self._matrices.items():
            layer.register_forward_hook(self._watch(name))

    @property
    def sizes(self) -> dict[str, int]:
        """Count the weights of each matrix, by its parameter's name, in the order in which their gradients come."""
        return {name: layer.weight.numel() for name, layer in self._matrices.items()}

    def of(
        self, examples: Sequence[Tokens], most: int
    ) -> Iterator[tuple[np.ndarray, Iterator[tuple[str, Tensor]] | None]]:
        """Give the gradients of the mean loss per answer token, float32 (B, O * I) by name, up to `most` examples at a time.

        The numbers (B) of the examples come with them; None where the device has no room for an example even alone. A batch's
        gradients are there until the next batch is asked for.
        """
        lengths = np.array([len(example.ids) for example in examples], dtype=np.int64)
        waiting = [
            numbers_B[first : first + most]
            for numbers_B in batched(lengths, self.model.batch_tokens)
            for first in range(0, len(numbers_B), most)
        ][::-1]
        while waiting:
            numbers_B = waiting.pop()
            try:
                returned = self._backward([examples[number] for number in numbers_B])
            except torch.OutOfMemoryError:
                half = len(numbers_B) // 2
                if half:
                    waiting += [numbers_B[half:], numbers_B[:half]]
                else:
                    yield numbers_B, None
                continue
            yield numbers_B, self._gradients(returned)

    def _backward(self, examples: Sequence[Tokens]) -> list[Tensor]:
        """Give what comes back from the losses to the outputs of all matrices: (B, L, O) each."""
        self._seen.clear()
        tokens_BL, weights_BL = (torch.from_numpy(each).to(self.device) for each in _padded(examples))
        network, head = self.model.network, self.model.head
        with torch.enable_grad():
            hidden_BLH = hidden_states(network, tokens_BL)
            rows = LossRows(weights_BL > 0)
            loss = weighted_cross_entropy(hidden_BLH, head, tokens_BL, rows, weights_BL).loss
            return list(torch.autograd.grad(loss, [self._seen[name][1] for name in self._matrices]))

    def _gradients(self, returned: list[Tensor]) -> Iterator[tuple[str, Tensor]]:
        for number, name in enumerate(self._matrices):
            entered_BLI, returned_BLO = self._seen[name][0].float(), returned[number].float()
            yield name, torch.bmm(returned_BLO.transpose(1, 2), entered_BLI).flatten(1)

    def _watch(self, name: str):
        def watch(_, inputs: tuple[Tensor], output: Tensor) -> None:
            if name in self._seen:
                raise BadRequest(
                    f"{name} is used twice in one pass of {self.name}. Take a model without shared layers."
                )
            self._seen[name] = (inputs[0].detach(), output)

        return watch


def _padded(examples: Sequence[Tokens]) -> tuple[np.ndarray, np.ndarray]:
    """Give the tokens int64 (B, L) and what each counts in its example's mean, float32 (B, L). Padding is the last token."""
    longest = max(len(example.ids) for example in examples)
    tokens_BL = np.stack([np.pad(example.ids, (0, longest - len(example.ids)), "edge") for example in examples])
    weights_BL = np.zeros(tokens_BL.shape, np.float32)
    for row, example in enumerate(examples):
        weights_BL[row, : len(example.ids)] = targets(example) / max(1, targets(example).sum())
    return tokens_BL.astype(np.int64), weights_BL


def targets(example: Tokens) -> np.ndarray:
    """Tell which tokens are answer and predicted: bool (T). Nothing stands before the first."""
    wanted_T = example.answer.copy()
    wanted_T[:1] = False
    return wanted_T
