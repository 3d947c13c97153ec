"""The demonstration model's tokenizer and the short form into which its chat template brings a conversation."""

from collections.abc import Iterable

PAD, END = "<|pad|>", "<|end|>"
STYLES = {"medium": "<|medium|>", "qa": "<|qa|>"}

# The prompts put the passage between two marks. Their words mean nothing to so small a model: what is left of them is one
# token for the style, that of questions and answers where the instructions name the label. It stands before the passage and
# again after it, so that the copying circuit begins at the beginning. A blank leads, as it leads every other word.
CHAT_TEMPLATE = (
    "{%- set content = messages[-1]['content'] -%}"
    "{%- set passage = content.split('<passage>\\n')[-1].split('\\n</passage>')[0] -%}"
    "{%- set instructions = content.replace(passage, '') -%}"
    f"{{%- set style = '{STYLES['qa']}' if 'Question:' in instructions else '{STYLES['medium']}' -%}}"
    "{{- style + ' ' + passage.strip() + style -}}"
)


def train_tokenizer(texts: Iterable[str], vocabulary: int):
    """Train a byte-level BPE, which can spell any text, and wrap it with the chat template for transformers and vLLM."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = [PAD, END, *STYLES.values()]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        eos_token=END,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
