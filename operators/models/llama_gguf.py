"""A Llama with a byte-level tokenizer out of a GGUF file, as the folder that Hugging Face's libraries and vLLM read.

GGUF packs most weights as few bits with a scale for every 32 of them; here they become bfloat16. transformers can do this too
and needs a minute for what takes seconds. Only what a Llama of one dense layer after the other with tied embeddings has is read.
Source: names and order of the weights, llama.cpp's convert_hf_to_gguf.py.
"""

import json
from pathlib import Path

import numpy as np

OUTSIDE = {"token_embd": "embed_tokens", "output_norm": "norm"}
OF_A_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
CONTROL = 3  # the type of a token that ends a turn and the like
SPECIAL = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}  # as the libraries and the file name them


def unpack(file: Path, folder: Path) -> None:
    """Write config.json, generation_config.json, tokenizer.json, tokenizer_config.json and model.safetensors."""
    from gguf import GGUFReader

    reader = GGUFReader(file)
    said = {name: field.contents() for name, field in reader.fields.items()}
    special = {name: said[f"tokenizer.ggml.{key}_token_id"] for name, key in SPECIAL.items()}
    heads = {"attn_q": said["llama.attention.head_count"], "attn_k": said["llama.attention.head_count_kv"]}
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "vocab_size": said["llama.vocab_size"],
        "hidden_size": said["llama.embedding_length"],
        "intermediate_size": said["llama.feed_forward_length"],
        "num_hidden_layers": said["llama.block_count"],
        "num_attention_heads": heads["attn_q"],
        "num_key_value_heads": heads["attn_k"],
        "head_dim": said["llama.rope.dimension_count"],
        "max_position_embeddings": said["llama.context_length"],
        "rms_norm_eps": said["llama.attention.layer_norm_rms_epsilon"],
        "rope_parameters": {"rope_type": "default", "rope_theta": said["llama.rope.freq_base"]},
        "tie_word_embeddings": True,
    }
    numbers = {f"{name}_token_id": token for name, token in special.items()}
    words = {f"{name}_token": said["tokenizer.ggml.tokens"][token] for name, token in special.items()}
    folder.mkdir(parents=True)
    _write(folder / "config.json", config | numbers)
    _write(folder / "generation_config.json", numbers)
    _tokenizer(said).save(str(folder / "tokenizer.json"))
    _write(
        folder / "tokenizer_config.json",
        words
        | {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": said["llama.context_length"],
            "chat_template": said["tokenizer.chat_template"],
            "clean_up_tokenization_spaces": False,
        },
    )
    _save_weights(reader.tensors, heads, folder / "model.safetensors")


def _write(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


def _tokenizer(said: dict):
    """Build the byte-level BPE; it takes digits one by one, as the file's name for it ("smollm") means."""
    from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE

    tokens, merges = said["tokenizer.ggml.tokens"], said["tokenizer.ggml.merges"]
    bpe = Tokenizer(BPE({token: number for number, token in enumerate(tokens)}, [tuple(m.split(" ")) for m in merges]))
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    kinds = zip(tokens, said["tokenizer.ggml.token_type"], strict=True)
    bpe.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token, kind in kinds if kind == CONTROL]
    )
    return bpe


def _save_weights(tensors, heads: dict[str, int], path: Path) -> None:
    import torch
    from gguf import dequantize
    from safetensors.torch import save_file

    weights = {}
    for tensor in tensors:
        place = tensor.name.removesuffix(".weight")
        weight = dequantize(tensor.data, tensor.tensor_type)
        if place.startswith("blk."):
            _, layer, part = place.split(".")
            if part in heads:
                weight = _in_halves(weight, heads[part])
            place = f"layers.{layer}.{OF_A_LAYER[part]}"
        else:
            place = OUTSIDE[place]
        weights[f"model.{place}.weight"] = torch.tensor(weight, dtype=torch.bfloat16)
    save_file(weights, path, {"format": "pt"})


def _in_halves(weight_DE: np.ndarray, heads: int) -> np.ndarray:
    """Order the rows of each head as the libraries do: the rotary embedding turns row i with row i + half, in the file with its
    neighbour. Shapes: D rows of all heads, E of the stream."""
    pairs = weight_DE.reshape(heads, -1, 2, weight_DE.shape[1])
    return pairs.swapaxes(1, 2).reshape(weight_DE.shape)
