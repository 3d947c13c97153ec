"""Three kinds of tokenizer, small enough to know every token by heart."""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors


def byte_level(folder: Path) -> str:
    """Bytes, and merges that cross what a template writes and what follows; no BOS. '!' has the id 0."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())  # begins with "!"
    merges = [(":", "A"), (":", "Ġ"), ("s", "."), ("Ċ", "Ċ"), ("o", "n"), ("Ġ", "o")]
    vocabulary = {token: number for number, token in enumerate([*alphabet, *map("".join, merges)])}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)  # as in RoBERTa: places without the space before
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|end|>", "<|start|>"])
    return _saved(tokenizer, folder, eos="<|end|>")


def metaspace(folder: Path) -> str:
    """As Llama 2: a mark for spaces, one of them before a text, and a BOS."""
    pieces = ["<unk>", "<s>", "</s>", "▁", *map(chr, range(33, 127)), "▁a", "on", "▁on", "\n"]
    tokenizer = Tokenizer(
        models.BPE({piece: n for n, piece in enumerate(pieces)}, [("▁", "a"), ("o", "n"), ("▁", "on")])
    )
    tokenizer.model.unk_token = "<unk>"
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return _saved(tokenizer, folder, eos="</s>")


def word_piece(folder: Path) -> str:
    """As BERT: words in lower case and their ends, no white space."""
    words = ["[UNK]", "[CLS]", "[SEP]", "mill", "##s", "on", "river", "response", "assistant", "#", ":", ".", "[", "]"]
    tokenizer = Tokenizer(models.WordPiece({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer.add_special_tokens(["[UNK]", "[CLS]", "[SEP]"])
    return _saved(tokenizer, folder, eos="[SEP]")


KINDS = {"byte_level": byte_level, "metaspace": metaspace, "word_piece": word_piece}


def _saved(tokenizer: Tokenizer, folder: Path, eos: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": eos}))
    return str(folder)
