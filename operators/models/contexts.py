"""Contexts for a language model, laid out in batches: those of like length together, each without the others' influence.

A context is a stretch (begin, end) of tokens that stand in a line. Padding is on the right, where a causal model does not look,
so attention needs no mask and takes its fastest kernel. Free of torch.

Shapes: C contexts; a batch has B contexts padded to L tokens; N of its tokens predict a target.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

BATCH_TOKENS = {"cpu": 2048, "cuda": 65536}
LENGTH_DECIDES = ("dynamic", "longrope")  # rotary embeddings that change with the longest context of a batch


def tokens_at_once(config: Any, kind: str, asked: int | None = None) -> int:
    """Give the tokens of one forward: what is asked for, else what suits the kind of device (cpu, cuda).

    `config` is a model's (transformers). Where the longest context of a batch changes the others, it is 1: each goes alone.
    """
    rope = getattr(config.get_text_config(), "rope_parameters", None) or {}
    if rope.get("rope_type") in LENGTH_DECIDES:
        return 1
    return asked or BATCH_TOKENS.get(kind, BATCH_TOKENS["cuda"])


def batches(contexts_C2: np.ndarray, tokens: int) -> Iterator[np.ndarray]:
    """Cut contexts, longest first, into batches of at most so many tokens with the padding, and at least one context."""
    return (contexts_C2[part_B] for part_B in batched(contexts_C2[:, 1] - contexts_C2[:, 0], tokens))


def batched(lengths_C: np.ndarray, tokens: int) -> Iterator[np.ndarray]:
    """Do as `batches`, and give the numbers (B) of the contexts of each batch."""
    order = np.argsort(-lengths_C, kind="stable")
    done = 0
    while done < len(order):
        size = max(1, tokens // int(lengths_C[order[done]]))
        yield order[done : done + size]
        done += size


def laid_out(batch_B2: np.ndarray, defined: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the places (B, L) of the tokens that a batch reads, and (N) which of these, in a line, predict a defined target.

    `defined` tells for each token in the line, and one after the last context, whether it is a target. A short context is
    filled up with its own last token: what is wrong with one context stays with it.
    """
    begin_B1, end_B1 = batch_B2[:, :1], batch_B2[:, 1:]
    places_BL = begin_B1 + np.arange((end_B1 - begin_B1).max())
    wanted_BL = (places_BL < end_B1) & defined[np.minimum(places_BL, end_B1 - 1) + 1]
    return np.minimum(places_BL, end_B1 - 1), np.flatnonzero(wanted_BL)
