"""Rho-1 written down once more: float64, one token at a time, logits of everything, Python's own sort.

Shapes: R rows of T tokens, H hidden units, V vocabulary entries. NaN stands where nothing is defined.
"""

import math

import numpy as np
import torch

from operators.learn.losses.config import LossConfig


def logits(hidden, head):
    """Give float64 logits of any hidden states, with the gradient's path."""
    z = hidden.double() @ head.weight_VH.double().T
    if head.bias_V is not None:
        z = z + head.bias_V.double()
    z = z * head.scale
    return z if head.softcap is None else head.softcap * torch.tanh(z / head.softcap)


def log_probabilities(hidden_RTH, head):
    """Give log P of the vocabulary for each place (R, T, V) but the first, from the state before it."""
    z = logits(hidden_RTH, head)[:, :-1]
    first = torch.full_like(z[:, :1], math.nan)
    return torch.cat([first, z - z.logsumexp(-1, keepdim=True)], dim=1)


def losses(hidden_RTH, head, tokens_RT):
    """Give -log P of each token (R, T), with the gradient's path."""
    return -log_probabilities(hidden_RTH, head).gather(-1, tokens_RT[..., None])[..., 0]


def entropies(hidden_RTH, head):
    log_p = log_probabilities(hidden_RTH, head)
    return -(log_p.exp() * log_p).sum(-1)


def best(scores: dict[tuple[int, int], float], keep: float, min_keep: int) -> set[tuple[int, int]]:
    """Choose by (-score, place) floor(keep * N) of the N places that have a score."""
    count = max(math.floor(keep * len(scores)), min(min_keep, len(scores)))
    return set(sorted(scores, key=lambda place: (-scores[place], place))[:count])


def reference(columns: dict[str, np.ndarray], how: str) -> np.ndarray:
    """Combine the reference losses of float64 columns."""
    stacked = np.stack([values for name, values in sorted(columns.items()) if name.startswith("reference_loss")])
    if how == "mixture":
        return -np.log(np.exp(-stacked).mean(0))
    return stacked.min(0) if how == "min" else stacked.mean(0)


def kept(config: LossConfig, defined, columns, nll=None, step: int = 0) -> set[tuple[int, int]]:
    """Give the places that are trained on."""
    columns = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
    keep, keep_entropy = (
        share if step >= config.warmup_steps else 1 - (1 - share) * step / config.warmup_steps
        for share in (config.keep, config.keep_entropy or config.keep)
    )
    groups: dict[int, list[tuple[int, int]]] = {}
    for row, place in zip(*np.nonzero(np.asarray(defined)), strict=True):
        groups.setdefault(int(row) if config.scope == "sequence" else 0, []).append((int(row), int(place)))
    loss = None if config.score == "reference_entropy" else reference(columns, config.combine)
    marked = set()
    for places in groups.values():
        by_loss = {} if loss is None else {place: -loss[place] for place in places}
        if config.score == "excess":
            by_loss = {place: np.float64(nll[place]) - loss[place] for place in places}
        chosen = best(by_loss, keep, config.min_keep)
        if config.score in ("reference_entropy", "intersection", "union"):
            share = keep if config.score == "reference_entropy" else keep_entropy
            by_entropy = best({p: -columns["reference_entropy"][p] for p in places}, share, config.min_keep)
            chosen = {
                "reference_entropy": by_entropy,
                "intersection": chosen & by_entropy,
                "union": chosen | by_entropy,
            }[config.score]
        marked |= chosen
    return marked


def weights(config: LossConfig, defined, columns, nll=None, step: int = 0) -> np.ndarray:
    """Give the weights (R, T), normalisation included."""
    marks = np.zeros(np.shape(defined))
    for place in kept(config, defined, columns, nll, step):
        marks[place] = 1
    if config.normalise == "sequence_mean":
        marks /= np.maximum(marks.sum(1, keepdims=True), 1)
    return marks


def objective(hidden_RTH, head, tokens_RT, weights_RT):
    """Give sum(w * L) / sum(w) with the gradient's path; 0 where nothing is kept."""
    weights_RT = torch.as_tensor(weights_RT, dtype=torch.float64)
    nll_RT = losses(hidden_RTH, head, tokens_RT)
    total = torch.where(weights_RT > 0, weights_RT * nll_RT, 0).sum()
    return total / weights_RT.sum() if weights_RT.sum() > 0 else total
