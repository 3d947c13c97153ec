import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from operators.training.config import ModelConfig
from operators.training.model import build_model
from operators.training.throughput import flops_per_token, peak_flops
from tests.operators.training.small import PACKING


@pytest.mark.parametrize("tied", [True, False])
def test_flops_are_those_of_forward_and_backward(tied):
    """Counted by torch itself, which takes the whole square of attention where ours takes half of it."""
    shape = ModelConfig(layers=2, heads=2, width=32, kv_heads=1, tie_embeddings=tied)
    model = build_model(shape, PACKING, seed=0, attention="eager")
    tokens_BT = torch.randint(0, 61, (3, PACKING.window))
    with FlopCounterMode(display=False) as counted:
        model(input_ids=tokens_BT, use_cache=False).logits.sum().backward()
    half = 6 * 2 * 32 * PACKING.window
    assert counted.get_total_flops() / tokens_BT.numel() == pytest.approx(flops_per_token(model, 16) + half, rel=0.02)


def test_a_processor_is_measured_once():
    peak = peak_flops(torch.device("cpu"))
    assert 1e9 < peak < 1e14 and peak_flops(torch.device("cpu")) == peak


def test_a_gpu_is_known_by_its_name(monkeypatch):
    names = {"NVIDIA H100 80GB HBM3": 989e12, "NVIDIA A100-SXM4-80GB": 312e12, "NVIDIA A10G": 125e12, "Voodoo 2": None}
    for name, peak in names.items():
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device, name=name: name)
        assert peak_flops(torch.device("cuda")) == peak
