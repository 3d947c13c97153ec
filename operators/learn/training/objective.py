"""Model and loss in one forward: so that sharded weights of the head are whole where the loss reads them.

Shapes: B rows of T tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from operators.learn.losses.base import Loss, LossRows
from operators.learn.losses.fused import Weighted, weighted_cross_entropy
from operators.learn.training.data.feeding import Batch
from operators.models.causal_lm import head_of, hidden_states
from operators.models.head import token_losses


@dataclass(frozen=True)
class DeviceBatch:
    """The tensors of a batch, see `feeding.Batch`."""

    tokens_BT: Tensor
    positions_BT: Tensor | None
    defined_BT: Tensor
    columns: dict[str, Tensor]


def on_device(batch: Batch, device: torch.device) -> DeviceBatch:
    """Copy a batch to a device."""

    def there(array) -> Tensor:
        return torch.from_numpy(array).to(device, non_blocking=True)

    positions_BT = None if batch.positions_BT is None else there(batch.positions_BT)
    columns = {name: there(values) for name, values in batch.columns.items()}
    return DeviceBatch(there(batch.tokens_BT), positions_BT, there(batch.defined_BT), columns)


class Objective(nn.Module):
    """A causal language model and what is made of its predictions. With `autocast` products are in bfloat16."""

    def __init__(self, model: PreTrainedModel, autocast: bool = False):
        super().__init__()
        self.model, self.autocast = model, autocast

    def forward(
        self, batch: DeviceBatch, rows: LossRows | None = None, weigh: Loss | Tensor | None = None
    ) -> Tensor | tuple[Tensor, Weighted]:
        """Give the losses (B, T) of the defined tokens, NaN elsewhere, without gradient; or the weighted loss of `rows`.

        `weigh` is a loss or known weights (B, T), as `weighted_cross_entropy` takes them. The weighted loss stands beside
        the rest by itself, where sharded parameters look for what goes backwards.
        """
        with torch.autocast(batch.tokens_BT.device.type, torch.bfloat16, enabled=self.autocast):
            hidden_BTH = hidden_states(self.model, batch.tokens_BT, batch.positions_BT)
            head = head_of(self.model)
            if weigh is not None:
                weighted = weighted_cross_entropy(hidden_BTH, head, batch.tokens_BT, rows, weigh)
                return weighted.loss, weighted
            nll_BT = torch.full(batch.tokens_BT.shape, torch.nan, device=batch.tokens_BT.device)
            before_BT = batch.defined_BT.roll(-1, dims=1)  # the first token of a row is never defined
            found_N, _ = token_losses(hidden_BTH[before_BT], head, batch.tokens_BT[batch.defined_BT])
            nll_BT[batch.defined_BT] = found_N.float()
            return nll_BT
