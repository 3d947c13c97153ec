import json

import numpy as np
import pytest

from operators.models.llama_gguf import OF_A_LAYER, OUTSIDE, unpack
from tests.tiny_model import make_tiny_model

pytestmark = pytest.mark.model


def write_gguf(folder, path) -> None:
    """Write a model as llama.cpp's converter does."""
    from gguf import GGUFWriter
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    config, bpe = model.config, json.loads(tokenizer.backend_tokenizer.to_str())
    special = {entry["id"] for entry in bpe["added_tokens"]}
    writer = GGUFWriter(path, "llama")
    writer.add_vocab_size(config.vocab_size)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_token_list(tokenizer.convert_ids_to_tokens(range(config.vocab_size)))
    writer.add_token_types([3 if number in special else 1 for number in range(config.vocab_size)])
    writer.add_token_merges([" ".join(merge) for merge in bpe["model"]["merges"]])
    writer.add_bos_token_id(tokenizer.eos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_unk_token_id(tokenizer.pad_token_id)
    writer.add_chat_template(tokenizer.chat_template)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    weights = {name: weight.float().numpy() for name, weight in model.state_dict().items()}
    for theirs, ours in OUTSIDE.items():
        writer.add_tensor(f"{theirs}.weight", weights[f"model.{ours}.weight"])
    for layer in range(config.num_hidden_layers):
        for theirs, ours in OF_A_LAYER.items():
            weight = weights[f"model.layers.{layer}.{ours}.weight"]
            if theirs in heads:
                halves = weight.reshape(heads[theirs], 2, -1, weight.shape[1])
                weight = np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weight.shape))
            writer.add_tensor(f"blk.{layer}.{theirs}.weight", weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model in bfloat16 with tied embeddings, and the same through a GGUF file."""
    import torch
    from transformers import AutoModelForCausalLM

    root = tmp_path_factory.mktemp("gguf")
    made = make_tiny_model(root / "made")
    model = AutoModelForCausalLM.from_pretrained(made, dtype=torch.bfloat16)
    model.config.tie_word_embeddings, model.lm_head.weight = True, model.model.embed_tokens.weight
    model.save_pretrained(made)
    write_gguf(made, root / "model.gguf")
    unpack(root / "model.gguf", root / "unpacked")
    return made, root / "unpacked"


def test_the_unpacked_model_says_what_the_model_says(folders):
    import torch
    from transformers import AutoModelForCausalLM

    tokens = torch.arange(300).view(3, 100)
    with torch.no_grad():
        made, unpacked = (AutoModelForCausalLM.from_pretrained(folder)(tokens).logits for folder in folders)
    assert unpacked.dtype == torch.bfloat16
    assert torch.equal(made, unpacked)


def test_the_unpacked_tokenizer_spells_and_frames_as_the_models_own(folders):
    from transformers import AutoTokenizer

    made, unpacked = map(AutoTokenizer.from_pretrained, folders)
    text = "The mill stands, 7 빠른 여우 <|end|> naïve\n\n  x"
    assert unpacked(text).input_ids == made(text).input_ids
    assert unpacked.decode(unpacked(text).input_ids) == text
    turns = [{"role": "user", "content": "The mill."}]
    frames = [one.apply_chat_template(turns, tokenize=False, add_generation_prompt=True) for one in (made, unpacked)]
    assert frames[0] == frames[1]
    assert (unpacked.eos_token, unpacked.pad_token) == ("<|end|>", "<|pad|>")
