from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaForCausalLM
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils import is_flash_attn_2_available

from operators.errors import BadRequest
from operators.learn.training.config import TrainedModelConfig
from operators.learn.training.model import build_model, llama_config
from tests.operators.learn.training.small import PACKING, TINY
from tests.tiny_model import make_tiny_model

pytestmark = pytest.mark.model


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
        model = LlamaForCausalLM(llama_config(TrainedModelConfig(preset=preset), replace(PACKING, vocabulary=50257)))
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


def test_a_model_of_a_folder_is_that_model(tmp_path):
    make_tiny_model(tmp_path)
    packing = replace(PACKING, vocabulary=300)
    model = build_model(TrainedModelConfig(path=str(tmp_path)), packing, seed=0)
    for ours, saved in zip(
        model.parameters(), AutoModelForCausalLM.from_pretrained(tmp_path).parameters(), strict=True
    ):
        assert torch.equal(ours, saved)
    assert model.training


def test_a_model_that_cannot_read_the_rows_is_refused(tmp_path):
    make_tiny_model(tmp_path, context_tokens=128)
    path = TrainedModelConfig(path=str(tmp_path))
    with pytest.raises(BadRequest, match="packed with a tokenizer of 5000"):
        build_model(path, replace(PACKING, vocabulary=5000), seed=0)
    with pytest.raises(BadRequest, match="reads 128 tokens at once, and the packed rows have 256"):
        build_model(path, replace(PACKING, window=256), seed=0)


@pytest.mark.parametrize("from_folder", [True, False])
def test_a_kernel_that_cannot_run_on_a_processor_is_set_when_all_is_measured(tmp_path, monkeypatch, from_folder):
    def on_a_gpu_only(*_, **__):
        raise RuntimeError("bfloat16 on a GPU only")

    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS, "demanding", on_a_gpu_only)
    model = build_model(*of_either(from_folder, tmp_path), seed=0, attention="demanding")
    with pytest.raises(RuntimeError, match="on a GPU only"):
        model(torch.ones(1, 4, dtype=torch.long))


@pytest.mark.parametrize("from_folder", [True, False])
def test_an_unknown_attention_is_refused_by_name(tmp_path, from_folder):
    with pytest.raises(BadRequest, match=r"attention=nonsense cannot be used for LlamaForCausalLM"):
        build_model(*of_either(from_folder, tmp_path), seed=0, attention="nonsense")


@pytest.mark.skipif(is_flash_attn_2_available(), reason="flash attention is installed here")
def test_an_attention_that_is_not_installed_is_refused_by_name():
    with pytest.raises(BadRequest, match=r"attention=flash_attention_2 cannot be used .*install what is missing"):
        build_model(TINY, PACKING, seed=0, attention="flash_attention_2")


def test_a_context_shorter_than_what_a_model_is_measured_with_is_refused_in_words(tmp_path):
    config = GPT2Config(vocab_size=61, n_embd=16, n_head=2, n_layer=1, n_positions=8)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    path = TrainedModelConfig(path=str(tmp_path))
    with pytest.raises(BadRequest, match="reads 8 tokens at once, and the packed rows have 16"):
        build_model(path, PACKING, seed=0)
    build_model(path, replace(PACKING, window=8), seed=0)


def of_either(from_folder: bool, folder) -> tuple:
    """A model and rows that it can read, of a folder or of random weights."""
    if not from_folder:
        return TINY, PACKING
    return TrainedModelConfig(path=str(make_tiny_model(folder))), replace(PACKING, vocabulary=300)
