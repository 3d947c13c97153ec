"""The model that a run trains: of random weights, or from a folder."""

import math

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from operators.errors import BadRequest
from operators.learn.training.config import LoraConfig, TrainedModelConfig
from operators.models.causal_lm import check_documents_apart, context_of, head_of, load_causal_lm, set_attention
from operators.models.lora import Lora, add_lora
from operators.tokens.rows import Packing


def build_model(
    config: TrainedModelConfig, packing: Packing, seed: int, attention: str | None = None
) -> PreTrainedModel:
    """Give a causal language model with float32 weights on the processor, fit for the packed rows.

    Random weights depend on the seed alone. Raises BadRequest where the model cannot read the rows, or not attend as it is
    told. That the tokenizer is the one of the rows is the caller's to check: a model from a folder need not have one beside it.
    """
    model = load_causal_lm(config.path) if config.path else _begin(llama_config(config, packing), seed)
    _check(model, packing)
    set_attention(model, attention)
    return model.train()


def adapt(model: PreTrainedModel, config: LoraConfig, seed: int) -> None:
    """Give a model the adapters that are to be trained in place of it, where the settings want any."""
    if config.rank is not None:
        add_lora(model, lora_of(config), config.dropout, seed)


def lora_of(config: LoraConfig) -> Lora:
    """Give the form of the adapters."""
    return Lora(config.rank, config.alpha, tuple(config.targets))


def llama_config(config: TrainedModelConfig, packing: Packing) -> LlamaConfig:
    """Describe the Llama (arXiv:2302.13971) that begins anew, for rows of this packing."""
    layers, heads, width = config.shape()
    return LlamaConfig(
        vocab_size=packing.vocabulary,
        hidden_size=width,
        intermediate_size=config.feed_forward or math.ceil(8 * width / 3 / 64) * 64,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=config.kv_heads or heads,
        max_position_embeddings=packing.window,
        tie_word_embeddings=config.tie_embeddings,
        bos_token_id=None,
        eos_token_id=packing.eos,
    )


def _begin(llama: LlamaConfig, seed: int) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(llama)


def _check(model: PreTrainedModel, packing: Packing) -> None:
    entries = model.get_input_embeddings().weight.shape[0]
    if entries < packing.vocabulary:
        raise BadRequest(
            f"the model knows {entries} tokens, and the rows were packed with a tokenizer of {packing.vocabulary}. "
            "Pack with the model's own tokenizer."
        )
    context = context_of(model)
    if context is not None and context < packing.window:
        raise BadRequest(
            f"the model reads {context} tokens at once, and the packed rows have {packing.window}. "
            f"Pack with a window of {context} at the most, or take a model with a longer context."
        )
    head_of(model)  # measured while the weights are whole
    if not packing.cross_document:
        check_documents_apart(model)
