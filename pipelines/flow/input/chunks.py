"""The chunker of a process: a tokenizer takes a while to load, and tasks come and go."""

import os
from dataclasses import astuple
from functools import lru_cache
from typing import Any

from operators.text.chunk import Chunk, ChunkConfig
from operators.text.tokenizer import approximate_tokenizer, load_tokenizer


def chunker(config: ChunkConfig) -> Chunk:
    """Give what cuts documents into chunks."""
    return _chunker(*astuple(config))


@lru_cache(maxsize=4)
def _chunker(*settings: Any) -> Chunk:
    config = ChunkConfig(*settings)
    return Chunk(config, _tokenizer(config.tokenizer))


@lru_cache(maxsize=4)
def _tokenizer(name: str | None):
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # Ray gives each task a core; tokenizers would take all
    return load_tokenizer(name) if name else approximate_tokenizer()
