from itertools import pairwise

import pytest
import torch
import transformers
from torch import nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from operators.errors import BadRequest
from operators.models.causal_lm import (
    check_documents_apart,
    context_of,
    head_of,
    hidden_states,
    load_causal_lm,
    set_attention,
)
from tests.tiny_model import make_tiny_model

pytestmark = pytest.mark.model
SMALL = {
    "vocab_size": 120,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
GPT2 = {"vocab_size": 120, "n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 64}
# Architecture, its own settings, and what its head is made of: softcap, scale, whether it has a bias.
HEADS = [
    ("Llama", {}, None, 1.0, False),
    ("Llama", {"tie_word_embeddings": True}, None, 1.0, False),
    ("GPT2", {}, None, 1.0, False),
    ("Phi", {}, None, 1.0, True),
    ("Gemma2", {"final_logit_softcapping": 3.0}, 3.0, 1.0, False),
    ("Cohere", {"logit_scale": 0.25}, None, 0.25, False),
    ("Granite", {"logits_scaling": 8.0}, None, 0.125, False),
    ("HyperCLOVAX", {"logits_scaling": 8.0}, None, 8.0, False),
]


def built(architecture: str, **settings) -> transformers.PreTrainedModel:
    """Make a model from scratch, its weights so wide that a softcap bends its logits."""
    config_class = getattr(transformers, f"{architecture}Config")
    config = config_class(**(GPT2 if architecture == "GPT2" else SMALL) | settings)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def tokens(rows: int, length: int) -> torch.Tensor:
    return torch.randint(1, 120, (rows, length), generator=torch.Generator().manual_seed(rows))


@pytest.mark.parametrize(("architecture", "settings", "softcap", "scale", "bias"), HEADS)
def test_body_and_head_together_give_the_models_own_logits(architecture, settings, softcap, scale, bias):
    model = built(architecture, **settings)
    head = head_of(model)
    assert (head.softcap, head.scale, head.bias_V is not None) == (softcap, scale, bias)
    with torch.no_grad():
        logits = head.logits(hidden_states(model, tokens(2, 20)).flatten(0, 1))
        expected = model(tokens(2, 20)).logits.flatten(0, 1)
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_the_head_is_the_models_own_tensor_and_measuring_it_leaves_the_model_as_it_was():
    model = built("Llama").train()
    assert head_of(model).weight_VH is model.lm_head.weight
    assert model.training and not model.lm_head._forward_hooks


class OddHead(transformers.LlamaForCausalLM):
    """Does something to its logits, or to what it gives its output layer, that no config names."""

    odd = staticmethod(lambda x: x)
    before = staticmethod(lambda x: x)

    def forward(self, input_ids, **kwargs):
        hidden = self.model(input_ids, use_cache=False).last_hidden_state
        return transformers.modeling_outputs.CausalLMOutput(logits=self.odd(self.lm_head(self.before(hidden))))


@pytest.mark.parametrize(
    "change", [{"odd": torch.log1p}, {"odd": lambda x: 1.5 * x}, {"before": lambda x: x / 2}, {"before": torch.tanh}]
)
def test_a_head_that_does_something_unknown_is_refused(change):
    model = OddHead(transformers.LlamaConfig(**SMALL))
    head_of(OddHead(model.config))
    vars(model).update(change)
    with pytest.raises(BadRequest, match=r"head of OddHead is not known.*operators/models/causal_lm\.py"):
        head_of(model)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("architecture", ["Llama", "Mistral", "Gemma2"])
def test_documents_in_one_row_give_what_each_gives_alone(architecture, attention):
    settings = {} if architecture == "Llama" else {"sliding_window": 4}
    model = built(architecture, attn_implementation=attention, **settings)
    assert model.config._attn_implementation == attention
    check_documents_apart(model)
    rows_BT = tokens(2, 24)
    begins = [[0, 9, 10, 24], [0, 5, 17, 24]]
    positions_BT = torch.tensor([[place for a, b in pairwise(cut) for place in range(b - a)] for cut in begins])
    with torch.no_grad():
        packed = hidden_states(model, rows_BT, positions_BT)
        for row, cut in enumerate(begins):
            for a, b in pairwise(cut):
                alone = hidden_states(model, rows_BT[row : row + 1, a:b])
                torch.testing.assert_close(packed[row : row + 1, a:b], alone, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(packed[0, 9:], hidden_states(model, rows_BT)[0, 9:], atol=1e-2)


@pytest.mark.parametrize("architecture", ["OPT", "Bloom"])
def test_a_model_that_takes_no_positions_cannot_keep_documents_apart(architecture):
    own = {"OPT": {"ffn_dim": 64, "word_embed_proj_dim": 32}, "Bloom": {"n_head": 4}}
    with pytest.raises(BadRequest, match="cross_document=true"):
        check_documents_apart(built(architecture, **own[architecture]))


def test_a_saved_model_is_loaded_in_the_type_that_was_asked_for(tmp_path):
    model = load_causal_lm(str(make_tiny_model(tmp_path)), "bfloat16")
    assert model.dtype == torch.bfloat16 and not model.training and context_of(model) == 512


def test_a_model_that_looks_ahead_is_refused(tmp_path):
    config = transformers.BertConfig(**SMALL)
    transformers.BertLMHeadModel(config).save_pretrained(tmp_path)
    with pytest.raises(BadRequest, match="no causal language model"):
        load_causal_lm(str(tmp_path))


def test_weights_that_miss_a_part_are_refused(tmp_path):
    model = built("Llama")
    weights = {name: tensor for name, tensor in model.state_dict().items() if "layers.1.mlp" not in name}
    model.save_pretrained(tmp_path, state_dict=weights)
    with pytest.raises(BadRequest, match=r"incomplete.*layers\.1\.mlp"):
        load_causal_lm(str(tmp_path))


def test_a_folder_without_a_model_and_a_torn_one_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    torn = make_tiny_model(tmp_path / "torn")
    weights = torn / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    for folder in ("empty", "torn", "not/there/at/all"):
        with pytest.raises(BadRequest, match=r"(no model folder|cannot be loaded).*folder in Hugging Face format"):
            load_causal_lm(str(tmp_path / folder))


def test_an_unknown_type_and_an_unknown_device_are_refused(tmp_path):
    with pytest.raises(BadRequest, match=r"float64.*float32, bfloat16, float16"):
        load_causal_lm(str(tmp_path), "float64")
    with pytest.raises(BadRequest, match=r"cannot be put on abacus .*another device"):
        load_causal_lm(str(make_tiny_model(tmp_path)), device="abacus")


def test_a_kernel_that_this_machine_cannot_run_is_set_after_the_model_was_proven(tmp_path, monkeypatch):
    def on_a_gpu_only(*_, **__):
        raise RuntimeError("bfloat16 on a GPU only")

    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS, "demanding", on_a_gpu_only)
    model = load_causal_lm(str(make_tiny_model(tmp_path)), attention="demanding")
    with pytest.raises(RuntimeError, match="on a GPU only"):
        model(tokens(1, 4))


@pytest.mark.parametrize(("architecture", "attention"), [("Llama", "nonsense"), ("Bloom", "sdpa")])
def test_an_attention_that_there_is_not_for_a_model_is_refused(architecture, attention):
    model = built(architecture, **({"n_head": 4} if architecture == "Bloom" else {}))
    with pytest.raises(BadRequest, match=f"attention={attention} cannot be used for {architecture}.*sdpa or eager"):
        set_attention(model, attention)


@pytest.mark.parametrize("context", [2, 8])
def test_a_model_of_a_short_context_is_proven_within_it(context):
    model = built("GPT2", n_positions=context)
    assert head_of(model).scale == 1.0
    check_documents_apart(model)


def test_a_context_that_is_no_number_of_tokens_is_none():
    config = transformers.XLNetConfig(vocab_size=120, d_model=32, n_head=4, d_inner=64, n_layer=1)
    assert config.max_position_embeddings == -1 and context_of(transformers.XLNetLMHeadModel(config)) is None
