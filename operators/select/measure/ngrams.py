"""Words and pairs of words as numbered buckets: what DSIR compares rows and a target by (Xie et al., arXiv:2302.03169).

Shapes: N rows of a part, W words of all of them, G grams (words and pairs) of all of them.
"""

import re
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain

import numpy as np
import pyarrow as pa

from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.select.measure.base import examples_in, features
from operators.settings import setting

WORD = re.compile(r"\w+|[^\w\s]+")  # letters and digits, or what stands between them: DSIR's own (NLTK's WordPunct)
MOST_BUCKETS = 1 << 16  # as many as 16 bits tell apart
COLUMNS = ("ngrams",)


@dataclass
class NgramsConfig:
    """Into how many buckets words and pairs of words are hashed."""

    buckets: int = setting(10_000, "buckets; rows and target must have the same")
    seed: int = setting(0, "seed of the hash; rows and target must have the same")

    def __post_init__(self):
        if not 1 <= self.buckets <= MOST_BUCKETS:
            raise BadRequest(f"ngrams.buckets is a number from 1 to {MOST_BUCKETS:,}, got {self.buckets}.")


class Ngrams:
    """Add `ngrams`, list<uint16>: the bucket of each word of a row, in order, then that of each pair of neighbours.

    A row of w words has w + max(w - 1, 0) of them. The words are those of all that is said, lower-cased; the hash is ours (the
    official code takes SHA-256 of each gram). Rows that are no example have null, with the reason.
    """

    def __init__(self, config: NgramsConfig, examples: ExampleConfig):
        self.config, self._examples = config, examples

    def __call__(self, rows: pa.Table) -> pa.Table:
        read = examples_in(rows, self._examples)
        reasons = [example if isinstance(example, str) else None for example in read]
        texts = ["" if isinstance(example, str) else example.spoken for example in read]
        ngrams = self._ngrams(texts, np.array([reason is not None for reason in reasons], bool))
        return features(rows, {COLUMNS[0]: ngrams}, reasons)

    def _ngrams(self, texts: list[str], missing_N: np.ndarray) -> pa.ListArray:
        hashes = _Hashes(self.config.seed)
        words = [WORD.findall(text.lower()) for text in texts]
        words_N = np.fromiter(map(len, words), np.int64, len(texts))
        hashes_W = np.fromiter(map(hashes.__getitem__, chain.from_iterable(words)), np.uint64, int(words_N.sum()))
        starts_N = np.cumsum(words_N) - words_N
        last_W = np.zeros(len(hashes_W), bool)
        last_W[(starts_N + words_N - 1)[words_N > 0]] = True
        grams_N = words_N + np.maximum(words_N - 1, 0)
        ends_N = np.cumsum(grams_N)
        # A word stands at its place in its row, and the pair that it begins as many places on as the row has words.
        place_W = np.repeat(ends_N - grams_N - starts_N, words_N) + np.arange(len(hashes_W))
        buckets_G = np.empty(int(grams_N.sum()), np.uint16)
        buckets_G[place_W] = self._buckets(hashes_W)
        pairs_W = _mixed(hashes_W[:-1], hashes_W[1:])
        begins = np.flatnonzero(~last_W)
        buckets_G[place_W[begins] + np.repeat(words_N, words_N)[begins]] = self._buckets(pairs_W[begins])
        offsets = np.concatenate([[0], ends_N]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(buckets_G), mask=pa.array(missing_N))

    def _buckets(self, hashes: np.ndarray) -> np.ndarray:
        return (hashes % np.uint64(self.config.buckets)).astype(np.uint16)


class _Hashes(dict):
    """64 bits for each word, worked out when it is first met."""

    def __init__(self, seed: int):
        super().__init__()
        self._salt = f"{seed}\0".encode()

    def __missing__(self, word: str) -> int:
        self[word] = value = int.from_bytes(blake2b(self._salt + word.encode(), digest_size=8).digest(), "little")
        return value


def _mixed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Hash pairs of hashes: (a, b) and (b, a) differ, and so do their low bits (the finaliser of SplitMix64)."""
    mixed = first * np.uint64(0x9E3779B97F4A7C15) + second
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
