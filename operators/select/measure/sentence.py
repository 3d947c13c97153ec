"""Sentence embeddings of what is said in a row.

Shapes: N rows, D dimensions.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from operators.errors import BadRequest
from operators.examples.base import Example, ExampleConfig
from operators.models.sentence_encoder import PACKAGED, SentenceEncoder
from operators.select.measure.base import EMBEDDING, examples_in, features, vectors
from operators.settings import setting

COLUMNS = (EMBEDDING,)


@dataclass
class SentenceConfig:
    """Which sentence encoder embeds the rows, and where."""

    model: str = setting(PACKAGED, "sentence encoder: this packaged one, or a sentence-transformers name or folder")
    batch_size: int = setting(64, "texts that the encoder takes at once", identity=False)
    device: str | None = setting(None, "cpu, cuda, cuda:1; null takes a GPU where there is one", identity=False)

    def __post_init__(self):
        if self.batch_size < 1:
            raise BadRequest(f"sentence.batch_size is a number of texts from 1, got {self.batch_size}.")


class Sentence:
    """Embed what is said in a row, all its turns: `embedding`, float32 (N, D), each of length 1.

    A text above the encoder's window is embedded in parts. A record that is no example has no embedding.
    """

    def __init__(self, config: SentenceConfig, examples: ExampleConfig):
        self.examples = examples
        self.encoder = SentenceEncoder(config.model, config.batch_size, config.device, "sentence.model")

    def __call__(self, rows: pa.Table) -> pa.Table:
        read = examples_in(rows, self.examples)
        known_N = np.array([isinstance(example, Example) for example in read], dtype=bool)
        vectors_ND = np.zeros((len(read), self.encoder.dimensions), np.float32)
        vectors_ND[known_N] = self.encoder.embed([example.spoken for example in read if isinstance(example, Example)])
        reasons = [None if isinstance(example, Example) else example for example in read]
        return features(rows, {EMBEDDING: vectors(vectors_ND, known_N)}, reasons)
