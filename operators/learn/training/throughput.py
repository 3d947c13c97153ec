"""What a step costs in FLOPs, and how much of what the machine can do that is.

MFU counts what the model needs: computing a layer again in backward, or a second pass that scores tokens, is time and no work.
Source: PaLM, arXiv:2204.02311, appendix B; of its attention term only the half below the diagonal is counted.
"""

import time
from functools import cache

import torch
from transformers import PreTrainedConfig, PreTrainedModel

# Dense bfloat16 products, FLOP/s, by what the GPU's name contains; NVIDIA's data sheets, without sparsity.
PEAKS = {
    "B200": 2.25e15,
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "A10": 125e12,
    "RTX 4090": 165e12,
    "V100": 125e12,
    "T4": 65e12,
}
SIDE = 1024  # of the matrices that a processor is measured with


def flops_per_token(model: PreTrainedModel, window: int) -> float | None:
    """Count the FLOPs of forward and backward per token of a row of `window` tokens, head included.

    6 for each weight that multiplies (4 where it is not trained), and 6 x layers x heads x head size x window for causal
    attention over the row, if the model has any. Of the experts of a mixture those that a token goes through; None where the
    config does not say how many.
    """
    config = model.config.get_text_config()
    weights = sum(parameter.numel() for parameter in model.parameters())
    if model.get_output_embeddings().weight is not model.get_input_embeddings().weight:
        weights -= model.get_input_embeddings().weight.numel()  # looked up, not multiplied
    experts = sum(parameter.numel() for name, parameter in model.named_parameters() if ".experts." in name)
    if experts:
        share = _active_share(config)
        if share is None:
            return None
        weights -= (1 - share) * experts
    heads = getattr(config, "num_attention_heads", None) or 0  # none in Mamba and RWKV
    head_size = getattr(config, "head_dim", None) or (config.hidden_size // heads if heads else 0)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    frozen = max(0, weights - trained)  # beside adapters, of which none is a table to look things up in
    return 6.0 * (weights + config.num_hidden_layers * heads * head_size * window) - 2.0 * frozen


def _active_share(config: PreTrainedConfig) -> float | None:
    """Give the share of a layer's experts that a token goes through."""
    active = getattr(config, "num_experts_per_tok", None)
    experts = getattr(config, "num_local_experts", None) or getattr(config, "num_experts", None)
    return active / experts if active and experts else None


def peak_flops(device: torch.device) -> float | None:
    """Give what a device can do at the most, in FLOP/s: a GPU's data sheet, a processor's best of a few products.

    None for a GPU that is not known here.
    """
    if device.type == "cpu":
        return _measured()
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in PEAKS.items() if part in name), None)


@cache
def _measured() -> float:
    """Measure float32 products on this process's threads."""
    square = torch.rand(SIDE, SIDE)
    best = float("inf")
    for _ in range(8):
        begin = time.perf_counter()
        square @ square
        best = min(best, time.perf_counter() - begin)
    return 2 * SIDE**3 / best
