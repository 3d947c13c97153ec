from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from operators.errors import BadRequest
from operators.training.config import ModelConfig
from operators.training.model import build_model, llama_config
from tests.operators.training.small import PACKING, TINY
from tests.tiny_model import make_tiny_model


def test_random_weights_depend_on_the_seed_alone():
    torch.manual_seed(5)
    first = build_model(TINY, PACKING, seed=0)
    torch.manual_seed(6)
    state = torch.random.get_rng_state()
    same, other = build_model(TINY, PACKING, seed=0), build_model(TINY, PACKING, seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    pairs = list(zip(first.parameters(), same.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs) and not all(torch.equal(a, c) for a, _, c in pairs)


@pytest.mark.parametrize(("preset", "millions"), [("llama-128m", 124), ("llama-350m", 353), ("llama-1.3b", 1311)])
def test_presets_have_the_sizes_of_their_names(preset, millions):
    with torch.device("meta"):
        model = LlamaForCausalLM(llama_config(ModelConfig(preset=preset), replace(PACKING, vocabulary=50257)))
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


def test_a_model_of_a_folder_is_that_model(tmp_path):
    make_tiny_model(tmp_path)
    packing = replace(PACKING, vocabulary=300)
    model = build_model(ModelConfig(path=str(tmp_path)), packing, seed=0)
    for ours, saved in zip(
        model.parameters(), AutoModelForCausalLM.from_pretrained(tmp_path).parameters(), strict=True
    ):
        assert torch.equal(ours, saved)
    assert model.training


def test_a_model_that_cannot_read_the_rows_is_refused(tmp_path):
    make_tiny_model(tmp_path, context_tokens=128)
    path = ModelConfig(path=str(tmp_path))
    with pytest.raises(BadRequest, match="packed with a tokenizer of 5000"):
        build_model(path, replace(PACKING, vocabulary=5000), seed=0)
    with pytest.raises(BadRequest, match="reads 128 tokens at once, and the packed rows have 256"):
        build_model(path, replace(PACKING, window=256), seed=0)
