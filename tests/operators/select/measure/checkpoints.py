"""A checkpoint of adapters with made-up weights and running means, beside a tiny model."""

from pathlib import Path

import torch

from operators.models.causal_lm import load_causal_lm
from operators.models.lora import MOMENTS_FILE, Lora, Moments, add_lora

LORA = Lora(4, 8.0, ("q_proj", "k_proj", "v_proj", "o_proj"))


def make_checkpoint(folder: Path, model: Path, seed: int = 0, scale: float = 1e-3, rate: float = 1e-5) -> Path:
    """Save adapters that say something (B is not 0), with running means of the given scale."""
    network = load_causal_lm(str(model))
    add_lora(network, LORA, dropout=0.0, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    named = {name: values for name, values in network.named_parameters() if values.requires_grad}
    weights = {name: torch.randn(values.shape, generator=generator) / 8 for name, values in named.items()}
    means = {name: torch.randn(values.shape, generator=generator) * scale for name, values in named.items()}
    squares = {name: torch.rand(values.shape, generator=generator) * scale**2 for name, values in named.items()}
    folder.mkdir(parents=True, exist_ok=True)
    Moments(LORA, rate, weights, means, squares).save(folder / MOMENTS_FILE)
    return folder
