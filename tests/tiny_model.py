"""A causal language model with random weights, made in a second or two, so that no test needs a model hub."""

from pathlib import Path

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL_TOKENS = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
TRAINING_TEXT = [
    "The mill stands by the river, and the river turns its wheel from spring until the first hard frost.",
    "In 1781 a flour merchant paid 40 pounds for two new stones, and the village paid him back in bread.",
    "Rewrite the passage below in clear English. Keep every name and every number as it is.",
    "Question: What does a mill do? Answer: It grinds grain between two heavy stones.",
    "빠른 갈색 여우가 게으른 개를 뛰어넘는다. 물레방아는 강가에 서 있다.",
]


def make_tiny_model(
    folder: Path,
    *,
    context_tokens: int = 512,
    chat_template: bool = True,
    seed: int = 0,
    text: list[str] = TRAINING_TEXT,
    vocabulary: int = 512,
) -> Path:
    """Save a two-layer Llama and its byte-level tokenizer in Hugging Face format, and return the folder.

    The weights are random, so completions are babble: lengths, counts and finish reasons are real, the words are not. The
    tokenizer learns up to `vocabulary` entries from `text`.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _tokenizer(chat_template, text, vocabulary)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=context_tokens,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer(chat_template: bool, text: list[str], vocabulary: int):
    """Train a byte-level BPE tokenizer, which can spell any text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        text,
        trainers.BpeTrainer(
            vocab_size=vocabulary, special_tokens=SPECIAL_TOKENS, initial_alphabet=alphabet, show_progress=False
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        chat_template=CHAT_TEMPLATE if chat_template else None,
    )
