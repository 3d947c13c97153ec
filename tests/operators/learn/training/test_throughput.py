import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import MambaConfig, MambaForCausalLM, MixtralConfig, MixtralForCausalLM

from operators.learn.training.config import LoraConfig, TrainedModelConfig
from operators.learn.training.model import adapt, build_model
from operators.learn.training.throughput import flops_per_token, peak_flops
from tests.operators.learn.training.small import PACKING

pytestmark = pytest.mark.model


@pytest.mark.parametrize("tied", [True, False])
def test_flops_are_those_of_forward_and_backward(tied):
    """Counted by torch itself, which takes the whole square of attention where ours takes half of it."""
    shape = TrainedModelConfig(layers=2, heads=2, width=32, kv_heads=1, tie_embeddings=tied)
    model = build_model(shape, PACKING, seed=0, attention="eager")
    tokens_BT = torch.randint(0, 61, (3, PACKING.window))
    with FlopCounterMode(display=False) as counted:
        model(input_ids=tokens_BT, use_cache=False).logits.sum().backward()
    half = 6 * 2 * 32 * PACKING.window
    assert counted.get_total_flops() / tokens_BT.numel() == pytest.approx(flops_per_token(model, 16) + half, rel=0.02)


def test_weights_that_are_not_trained_have_no_gradient_to_compute():
    shape = TrainedModelConfig(layers=2, heads=2, width=32)
    model = build_model(shape, PACKING, seed=0, attention="eager")
    adapt(model, LoraConfig(rank=4, targets=["q_proj", "v_proj"]), seed=0)
    tokens_BT = torch.randint(0, 61, (3, PACKING.window))
    with FlopCounterMode(display=False) as counted:
        model(input_ids=tokens_BT, use_cache=False).logits.sum().backward()
    half = 6 * 2 * 32 * PACKING.window
    # Before the first adapter nothing goes backwards: neither through its layer's q, k and v nor to its keys.
    spared = 2 * 3 * 32 * 32 + 2 * 2 * 4 * 32 + 2 * 32 * PACKING.window
    assert counted.get_total_flops() / tokens_BT.numel() == pytest.approx(
        flops_per_token(model, 16) + half - spared, rel=0.01
    )


def test_a_processor_is_measured_once():
    peak = peak_flops(torch.device("cpu"))
    assert 1e9 < peak < 1e14 and peak_flops(torch.device("cpu")) == peak


def test_a_gpu_is_known_by_its_name(monkeypatch):
    names = {"NVIDIA H100 80GB HBM3": 989e12, "NVIDIA A100-SXM4-80GB": 312e12, "NVIDIA A10G": 125e12, "Voodoo 2": None}
    for name, peak in names.items():
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device, name=name: name)
        assert peak_flops(torch.device("cuda")) == peak


def mixture(**changes) -> MixtralForCausalLM:
    shape = {"vocab_size": 61, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3}
    shape |= {"num_attention_heads": 2, "num_key_value_heads": 1, "num_experts_per_tok": 2}
    return MixtralForCausalLM(MixtralConfig(**shape | changes))


def test_of_a_mixture_of_experts_those_that_a_token_goes_through_are_counted():
    few, many = (flops_per_token(mixture(num_local_experts=experts), 16) for experts in (2, 6))
    assert many - few == pytest.approx(6 * 3 * 16 * (6 - 2))  # the router, which looks at all of them


def test_of_a_mixture_that_does_not_say_how_it_mixes_nothing_is_claimed():
    model = mixture(num_local_experts=4)
    model.config.num_experts_per_tok = 0
    assert flops_per_token(model, 16) is None


def test_a_model_without_attention_has_no_flops_of_it():
    model = MambaForCausalLM(MambaConfig(vocab_size=61, hidden_size=16, num_hidden_layers=2, state_size=4))
    weights = sum(parameter.numel() for parameter in model.parameters())
    assert flops_per_token(model, 16) == flops_per_token(model, 999) == 6 * weights
