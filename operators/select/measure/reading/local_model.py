"""The language model that measures rows, in this process.

Shapes: S slots of a line with C contexts; a batch has B of them, padded to L tokens, N of which predict a target; H hidden
units; J tokens of the vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from operators.errors import BadRequest
from operators.models.causal_lm import context_of, head_of, hidden_states, load_causal_lm
from operators.models.contexts import batched, laid_out, tokens_at_once
from operators.models.device import chosen_device
from operators.models.head import token_losses
from operators.select.measure.base import ModelConfig
from operators.select.measure.reading.line import Line

POOLED_TOKENS = 16_384  # whose states are widened to float32 at once


@dataclass(frozen=True)
class ReadBatch:
    """What a model made of a batch of contexts.

    `numbers_B` are the numbers of its contexts, `lengths_B` their tokens. `hidden_BLH` are the last hidden states, after the
    final norm; those of padding mean nothing. `slots_N` are the slots of the targets, `hidden_NH` the states that predict them.
    """

    numbers_B: np.ndarray
    lengths_B: np.ndarray
    hidden_BLH: Tensor
    slots_N: Tensor
    hidden_NH: Tensor


class LocalModel:
    """A causal language model that reads contexts of like length together, each without the others' influence.

    `context` is the longest one that it has positions for, None where its config does not say. Raises BadRequest where there
    is no such model, device or attention.
    """

    def __init__(self, config: ModelConfig):
        if not config.path:
            raise BadRequest("scorer.path is not given. Name the model that measures: a folder, or a name on the hub.")
        self.name = config.path
        device = chosen_device(config.device)
        kind = device.partition(":")[0]
        dtype = config.dtype or ("bfloat16" if kind == "cuda" else "float32")
        self.network = load_causal_lm(config.path, dtype, device, config.attention)
        self.head, self.device = head_of(self.network), self.network.device
        self.hidden_units = self.head.weight_VH.shape[1]
        self.context = context_of(self.network)
        self.batch_tokens = tokens_at_once(self.network.config, kind, config.batch_tokens)

    def check(self, tokenizer: Tokenizer) -> None:
        """Raise BadRequest where a tokenizer has tokens that the model does not know."""
        entries, known = self.head.weight_VH.shape[0], tokenizer.get_vocab(with_added_tokens=True).values()
        if max(known, default=-1) >= entries:
            raise BadRequest(
                f"{self.name} knows {entries} tokens and its tokenizer has {max(known) + 1}. The two do not belong together: "
                "copy the tokenizer's files from where the model is from."
            )

    @torch.inference_mode()
    def losses(
        self, line: Line, pooled_C: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Give -log P of the targets of a line, in nats.

        Returns float32 (S), NaN where there is no target; float32 (C, 2, H) with the mean and the position-weighted mean
        (weights 1, 2, 3, ...) of the states of the contexts that `pooled_C` (bool) marks; and the numbers of the contexts for
        which the device has no room.
        """
        labels = torch.from_numpy(line.labels).to(self.device)
        losses_S = torch.full((len(line.labels),), torch.nan, device=self.device)
        any_pooled = pooled_C is not None and pooled_C.any()
        shape = (len(line.stretches), 2, self.hidden_units)
        vectors_C2H = torch.full(shape, torch.nan, device=self.device) if any_pooled else None

        def visit(batch: ReadBatch) -> None:
            losses_S[batch.slots_N] = token_losses(batch.hidden_NH, self.head, labels[batch.slots_N])[0].float()
            if any_pooled and len(places := np.flatnonzero(pooled_C[batch.numbers_B])):
                numbers = torch.from_numpy(batch.numbers_B[places]).to(self.device)
                vectors_C2H[numbers] = pooled(batch.hidden_BLH[_index(places, self.device)], batch.lengths_B[places])

        failed = self._read(line, visit)
        return losses_S.cpu().numpy(), None if vectors_C2H is None else vectors_C2H.cpu().numpy(), failed

    @torch.inference_mode()
    def logits(self, line: Line, tokens: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Give the logits of some tokens where the targets of a line stand, float32 (S, J), NaN where there is no target.

        Returns with them the numbers of the contexts for which the device has no room.
        """
        some = torch.tensor(tokens, device=self.device)
        bias_V = self.head.bias_V
        head = replace(self.head, weight_VH=self.head.weight_VH[some], bias_V=None if bias_V is None else bias_V[some])
        logits_SJ = torch.full((len(line.labels), len(tokens)), torch.nan, device=self.device)

        def visit(batch: ReadBatch) -> None:
            ready, hidden_NH = head.for_products(batch.hidden_NH)
            logits_SJ[batch.slots_N] = ready.logits(hidden_NH).float()

        failed = self._read(line, visit)
        return logits_SJ.cpu().numpy(), failed

    def _read(self, line: Line, visit: Callable[[ReadBatch], None]) -> np.ndarray:
        """Run the model over a line, and let `visit` look at each batch; give the numbers of contexts without room.

        A batch without room on the device is halved, so `visit` may see a context twice.
        """
        tokens = torch.from_numpy(line.tokens).to(self.device)
        lengths_C = line.stretches[:, 1] - line.stretches[:, 0]
        waiting = list(batched(lengths_C, self.batch_tokens))[::-1]
        failed: list[int] = []
        while waiting:
            numbers_B = waiting.pop()
            try:
                visit(self._batch(numbers_B, line, tokens))
            except torch.OutOfMemoryError:
                half = len(numbers_B) // 2
                if half:
                    waiting += [numbers_B[half:], numbers_B[:half]]
                else:
                    failed.append(int(numbers_B[0]))
        return np.array(failed, dtype=np.int64)

    def _batch(self, numbers_B: np.ndarray, line: Line, tokens: Tensor) -> ReadBatch:
        batch_B2 = line.stretches[numbers_B]
        places_BL, wanted_N = laid_out(batch_B2, line.targets)
        places_BL, wanted_N = _index(places_BL, self.device), _index(wanted_N, self.device)
        hidden_BLH = hidden_states(self.network, tokens[places_BL])
        return ReadBatch(
            numbers_B=numbers_B,
            lengths_B=batch_B2[:, 1] - batch_B2[:, 0],
            hidden_BLH=hidden_BLH,
            slots_N=places_BL.view(-1)[wanted_N] + 1,
            hidden_NH=hidden_BLH.flatten(0, 1)[wanted_N],
        )


def pooled(hidden_BLH: Tensor, lengths_B: np.ndarray) -> Tensor:
    """Average the states of each context: float32 (B, 2, H), every token alike, and token i with weight i (from 1)."""
    batch, longest = hidden_BLH.shape[:2]
    lengths_B1 = _index(lengths_B, hidden_BLH.device)[:, None]
    place_BL = torch.arange(1, longest + 1, device=hidden_BLH.device).expand(batch, -1)
    inside_BL = (place_BL <= lengths_B1).float()
    weights_B2L = torch.stack([inside_BL, inside_BL * place_BL], dim=1)
    weights_B2L /= weights_B2L.sum(-1, keepdim=True)
    size = max(1, POOLED_TOKENS // longest)
    parts = zip(weights_B2L.split(size), hidden_BLH.split(size), strict=True)
    return torch.cat([torch.bmm(weights, hidden.float()) for weights, hidden in parts])


def _index(numbers: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(numbers).to(device)
