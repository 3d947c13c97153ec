"""Turn documents into tokens, with what ends (and begins) each of them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from operators.errors import BadRequest
from operators.settings import setting
from operators.table import living, with_columns
from operators.tokenizer import load_tokenizer, small_file

LONGEST = 2**20  # characters encoded at once: an encoding takes some hundred bytes a token
MOST_AT_ONCE = 1024  # pieces


@dataclass
class EncodeConfig:
    tokenizer: str | None = setting(None, "the model's tokenizer: a model folder, a tokenizer.json, or a hub name")
    eos_token: str | None = setting(None, "token that ends every document; null: the tokenizer's own")
    bos_token: str | None = setting(None, "token that begins every document; null: none")
    prompt_columns: list[str] = setting(
        [], "columns that stand before the text, an empty line after each; they are read, not learned (SFT)"
    )


class Encode:
    """Add the tokens of each document. Reads `text` and `metadata`.

    Adds `tokens` and `prompt_tokens`, how many of them are read only. What is written like a special token in a document is
    text: no page can end a document. A text above LONGEST characters is encoded in stretches that end with a line or a word.
    """

    def __init__(self, config: EncodeConfig):
        if not config.tokenizer:
            raise BadRequest(
                "pack.tokenizer is not given: a model folder, a tokenizer.json, or a model name of the hub."
            )
        self.config, self.tokenizer = config, load_tokenizer(config.tokenizer)
        self.tokenizer.encode_special_tokens = True
        self.eos = self._id("eos_token", config.eos_token or eos_of(config.tokenizer))
        self.bos = self._id("bos_token", config.bos_token) if config.bos_token else None

    def __call__(self, documents: pa.Table) -> pa.Table:
        alive = living(documents).tolist()
        texts, metadata = documents["text"].to_pylist(), documents["metadata"].to_pylist()
        prompts = [self._prompt(other) if lives else "" for other, lives in zip(metadata, alive, strict=True)]
        whole = (prompt + text if lives else "" for prompt, text, lives in zip(prompts, texts, alive, strict=True))
        encoded = self._encoded(list(whole), list(map(len, prompts)))
        first = [] if self.bos is None else [self.bos]
        tokens = [
            np.concatenate([first, text, [self.eos]]).astype(np.int32) if lives else None
            for (text, _), lives in zip(encoded, alive, strict=True)
        ]
        lengths = [len(first) + read if read else 0 for _, read in encoded]
        return with_columns(
            documents, tokens=pa.array(tokens, pa.large_list(pa.int32())), prompt_tokens=pa.array(lengths, pa.int32())
        )

    def _prompt(self, metadata: str | None) -> str:
        columns = json.loads(metadata or "{}") if self.config.prompt_columns else {}
        missing = [name for name in self.config.prompt_columns if name not in columns]
        if missing:
            raise ValueError(f"no column {missing[0]!r} (pack.prompt_columns). There are: {', '.join(columns)}")
        parts = (columns[name] for name in self.config.prompt_columns)
        return "".join(f"{part}\n\n" for part in parts if part)

    def _encoded(self, texts: list[str], prompts: list[int]) -> list[tuple[np.ndarray, int]]:
        """Give the tokens of each text, and how many of them begin in its first `prompts` characters."""
        pieces = [(owner, piece) for owner, text in enumerate(texts) for piece in stretches(text)]
        encode = (
            self.tokenizer.encode_batch if any(prompts) else self.tokenizer.encode_batch_fast
        )  # which has no offsets
        tokens: list[list[np.ndarray]] = [[] for _ in texts]
        read, left = [0] * len(texts), list(prompts)
        for some in _batches(pieces):
            encodings = encode([piece for _, piece in some], add_special_tokens=False)
            for (owner, piece), encoding in zip(some, encodings, strict=True):
                tokens[owner].append(np.array(encoding.ids, dtype=np.int32))
                if left[owner] > 0:
                    read[owner] += sum(begin < left[owner] for begin, _ in encoding.offsets)
                    left[owner] -= len(piece)
        return [
            (np.concatenate([np.empty(0, np.int32), *parts]), count) for parts, count in zip(tokens, read, strict=True)
        ]

    def _id(self, setting: str, token: str | None) -> int:
        number = self.tokenizer.token_to_id(token) if token else None
        if number is None:
            known = sorted(added.content for added in self.tokenizer.get_added_tokens_decoder().values())[:20]
            given = f"{token!r} is none of its tokens" if token else f"{self.config.tokenizer} does not say which it is"
            raise BadRequest(f"pack.{setting}: {given}. Its special tokens are: {', '.join(known) or 'none'}.")
        return number


def stretches(text: str, longest: int = LONGEST) -> Iterator[str]:
    """Cut a text into stretches of at most `longest` characters, after a line's end or before a space where there is one."""
    while len(text) > longest:
        line = text.rfind("\n", longest // 2, longest) + 1
        at = line or max(text.rfind(" ", longest // 2, longest), 0) or longest
        yield text[:at]
        text = text[at:]
    if text:
        yield text


def _batches(pieces: list[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Gather pieces of texts up to LONGEST characters or a little more."""
    some: list[tuple[int, str]] = []
    for piece in pieces:
        some.append(piece)
        if sum(len(text) for _, text in some) >= LONGEST or len(some) == MOST_AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def eos_of(name: str) -> str | None:
    """Read which token ends a text from the files beside a tokenizer; None where they do not say."""
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        path = small_file(name, file)
        token = _read(path).get("eos_token") if path else None
        if token:
            return token["content"] if isinstance(token, dict) else token
    return None


def _read(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadRequest(f"{path} is not valid JSON ({error}). Copy or download the tokenizer again.") from error


def vocabulary_of(tokenizer: Tokenizer) -> int:
    """Count the ids that a tokenizer can give."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1
