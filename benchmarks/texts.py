"""What several benchmarks read where no corpus is to be had: prose that is on every machine, and a tokenizer trained on text."""

import ast
import re
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

NOT_THE_LIBRARY = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "turtledemo"}
PROSE = re.compile(r"[A-Z][\w ,.;:'\"()/=`*-]*[.]", re.ASCII)
SPECIAL_TOKENS = ["<|pad|>", "<|end|>"]
FEWEST_WORDS, MOST_WORDS = 12, 100
PLAIN_SHARE = 0.8  # of the words of a paragraph; the rest may be names, numbers and signs


def docstrings() -> Iterator[dict[str, str]]:
    """Yield paragraphs of the documentation strings of Python's standard library as {"id", "text"}, each text once.

    Their order depends on the library alone. The files are parsed, no module is imported. Takes a few seconds.
    """
    seen = set()
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.rglob("*.py")):
        name = path.relative_to(library)
        if not NOT_THE_LIBRARY & set(name.parts):
            for number, text in enumerate(_paragraphs(ast.parse(path.read_bytes()))):
                if text not in seen:
                    seen.add(text)
                    yield {"id": f"{name.as_posix()}#{number}", "text": text}


def _paragraphs(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for paragraph in re.split(r"\n\s*\n", ast.get_docstring(node) or ""):
                if _is_prose(paragraph):
                    yield " ".join(paragraph.split())


def _is_prose(paragraph: str) -> bool:
    """Tell a paragraph of sentences from a signature, a table, an example or a list of options."""
    if re.search(r"\n\s", paragraph) or not PROSE.fullmatch(" ".join(paragraph.split())):
        return False
    words = paragraph.split()
    plain = sum(word.rstrip(",.;:").isalpha() for word in words)
    return FEWEST_WORDS <= len(words) <= MOST_WORDS and plain >= PLAIN_SHARE * len(words)


def train_tokenizer(texts: Iterable[str], vocabulary: int):
    """Train a byte-level BPE, which can spell any text, and wrap it for transformers."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=SPECIAL_TOKENS,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    pad, end = SPECIAL_TOKENS
    return PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token=pad, eos_token=end)
