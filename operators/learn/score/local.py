"""A reference model in this process.

Shapes: R rows of T tokens; C contexts; a batch has B contexts padded to L tokens; N targets; H hidden units.
"""

import numpy as np
import torch

from operators.errors import BadRequest
from operators.learn.score.base import ScoreConfig, contexts_to_read
from operators.models.causal_lm import context_of, head_of, hidden_states, load_causal_lm
from operators.models.contexts import batches, laid_out, tokens_at_once
from operators.models.device import chosen_device
from operators.models.head import token_losses
from operators.text.tokenizer import contents_digest, load_tokenizer
from operators.tokens.rows import PackedRows, Packing


class LocalReference:
    """Score contexts of like length together, each without the others' influence.

    Contexts are padded on the right, where a causal model does not look, so attention needs no mask and takes its fastest kernel.
    The head sees the states of defined targets alone, and never makes more than a tile of logits.
    """

    def __init__(self, config: ScoreConfig, model: str):
        self.name, self.config = model, config
        device = chosen_device(config.device)
        kind = device.partition(":")[0]
        dtype = config.dtype or ("bfloat16" if kind == "cuda" else "float32")
        self.network = load_causal_lm(model, dtype, device, config.attention)
        self.head = head_of(self.network)
        self.digest = contents_digest(load_tokenizer(model))
        self.batch_tokens = tokens_at_once(self.network.config, kind, config.batch_tokens)

    def check(self, packing: Packing) -> None:
        entries, context = self.head.weight_VH.shape[0], context_of(self.network)
        if packing.tokenizer != self.digest:
            raise BadRequest(
                f"the rows were packed with another tokenizer than {self.name} has. A reference must read the same tokens: "
                "pack with its tokenizer, or take a reference that was trained with the one of the rows."
            )
        if packing.vocabulary > entries:
            raise BadRequest(
                f"{self.name} knows {entries} tokens and the rows have {packing.vocabulary}. Take another reference."
            )
        if context is not None and packing.window > context:
            raise BadRequest(
                f"the rows are {packing.window} tokens long and {self.name} reads {context} at most. "
                f"Pack with pack.window={context}, or take another reference."
            )

    @torch.inference_mode()
    def score(self, rows: PackedRows) -> list[np.ndarray]:
        device = self.network.device
        tokens = torch.from_numpy(rows.tokens_RT.reshape(-1).astype(np.int64)).to(device)
        kinds = 2 if self.config.entropy else 1
        scores = torch.full((kinds, len(tokens)), torch.nan, device=device)
        for batch_C2 in batches(contexts_to_read(rows), self.batch_tokens):
            places_BL, wanted_N = laid_out(batch_C2, rows.defined_RT.reshape(-1))
            places_BL, wanted_N = torch.from_numpy(places_BL).to(device), torch.from_numpy(wanted_N).to(device)
            hidden_BLH = hidden_states(self.network, tokens[places_BL])
            targets_N = places_BL.view(-1)[wanted_N] + 1
            losses = token_losses(hidden_BLH.flatten(0, 1)[wanted_N], self.head, tokens[targets_N], self.config.entropy)
            for kind in range(kinds):
                scores[kind, targets_N] = losses[kind]
        return list(scores.view(kinds, *rows.tokens_RT.shape).cpu().numpy())
