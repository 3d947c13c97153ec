"""Cut documents into passages of whole sentences, each within a limit of tokens."""

from collections.abc import Generator
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import TypeVar

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from operators.errors import BadRequest
from operators.settings import setting
from operators.table import CHUNKS, living, reject, spread, with_columns
from operators.text.sentences import finer, sentences, sentences_of
from operators.text.tokenizer import WordCosts, count_tokens

LANES = 256  # documents that are cut side by side, so that the tokenizer gets their candidates as one batch
NEARLY = 0.97  # of the limit is full enough where the cut falls inside a sentence anyway
SHORT = 3  # characters per token; a document of fewer probably is one chunk, so it is counted before it is cut
WIDEST = 64  # characters per token; text with fewer tokens (a million spaces) is cut without filling the limit


@dataclass
class ChunkConfig:
    max_tokens: int = setting(300, "most tokens of a chunk, counted on the chunk alone, without the prompt")
    min_tokens: int = setting(
        0, "a chunk of fewer tokens joins the one before or shares its sentences, where the limit allows"
    )
    tokenizer: str | None = setting(
        None, "what counts tokens: a model folder, a tokenizer.json, a hub name; null: the engine's own, else about"
    )

    def __post_init__(self):
        if not 0 <= self.min_tokens <= self.max_tokens or self.max_tokens < 1:
            raise BadRequest(
                f"chunk.min_tokens={self.min_tokens} with chunk.max_tokens={self.max_tokens}: "
                "a chunk has at least one token, and the minimum is from 0 to the maximum."
            )


# A dialogue: it yields a text to be counted, is sent its tokens, and returns its result in the end.
Result = TypeVar("Result")
Dialogue = Generator[str, int, Result]


class Chunk:
    """Cut each document into chunks: spans that, joined in order, are the document.

    Reads DOCUMENTS, returns CHUNKS: one row per chunk, in the order of the documents. A rejected document stays one row
    without a chunk_index; a text that is null or nothing but white space is rejected as `empty`.

    Sentences are packed greedily up to the limit; a sentence over the limit is cut at lines, else at words, else between
    characters. Every chunk has been counted alone by the tokenizer and keeps the limit; only a single character may exceed
    it. What becomes of a document depends on its text alone. Time and memory are linear in its length.
    """

    def __init__(self, config: ChunkConfig, tokenizer: Tokenizer):
        self.config, self.tokenizer, self.costs = config, tokenizer, WordCosts(tokenizer)

    def __call__(self, documents: pa.Table) -> pa.Table:
        texts = documents["text"].to_pylist()
        blank = [row for row in np.flatnonzero(living(documents)) if not (texts[row] or "").strip()]
        documents = reject(documents, "chunk", dict.fromkeys(blank, ("empty", None)))
        alive = living(documents)
        chunks = iter(self.cut([texts[row] for row in np.flatnonzero(alive)]))
        return _explode(documents, [next(chunks) if row else [] for row in alive])

    def cut(self, texts: list[str]) -> list[list[tuple[str, int]]]:
        """Cut texts that are not blank: for each its chunks in order, with their tokens."""
        done: list[list[tuple[str, int]]] = [[] for _ in texts]
        waiting = ((index, _Cutting(text, self.config, self.costs).run()) for index, text in enumerate(texts))
        lanes = [(index, cutting, next(cutting)) for index, cutting in islice(waiting, LANES)]
        while lanes:
            counts = count_tokens(self.tokenizer, [text for _, _, text in lanes])
            going = []
            for (index, cutting, _), tokens in zip(lanes, counts, strict=True):
                try:
                    going.append((index, cutting, cutting.send(tokens)))
                except StopIteration as end:
                    done[index] = end.value
            lanes = going + [(index, cutting, next(cutting)) for index, cutting in islice(waiting, LANES - len(going))]
        return done


@dataclass(slots=True)
class _Piece:
    """A part of a document that is cut only if it is over the limit alone. `cost` is a guess of its tokens."""

    text: str
    cost: float
    level: int = 0  # what it is cut at next, see `finer`
    fits: bool = False  # its tokens were counted and are within the limit


class _Cutting:
    """One document under the knife: the pieces that come next, and how its tokens relate to the guesses so far."""

    def __init__(self, text: str, config: ChunkConfig, costs: WordCosts):
        self.text, self.limit, self.minimum, self.costs = text, config.max_tokens, config.min_tokens, costs
        self.source = sentences(text, window=max(4096, 16 * self.limit))  # what fills a window is surely over the limit
        self.pieces: list[_Piece] = []
        self.ratio = 1.0  # tokens per unit of cost

    def run(self) -> Dialogue[list[tuple[str, int]]]:
        if len(self.text) <= SHORT * self.limit and (tokens := (yield self.text)) <= self.limit:
            return [(self.text, tokens)]
        chunks: list[tuple[str, int]] = []
        while self._reach(0):
            size, tokens = yield from self._fill()
            chunks.append((self._text(size), tokens))
            del self.pieces[:size]
            if tokens < self.minimum and len(chunks) > 1:
                chunks[-2:] = yield from self._share(*chunks[-2:])
        return chunks

    def _fill(self) -> Dialogue[tuple[int, int]]:
        """Find how many of the next pieces make a chunk, and count its tokens: guess, count, correct the guess."""
        low, tokens, high = 0, 0, None  # `low` pieces fit and have `tokens`; `high` pieces are known not to fit
        attempt = 0
        while high is None or low + 1 < high:
            size = self._guess(low, tokens, high, attempt)
            if size == low:
                if not (yield from self._open(low)):
                    break
                high = None
                continue
            attempt += 1
            count = yield self._text(size)
            self._learn(size, count)
            if count <= self.limit:
                low, tokens = size, count
                if count > NEARLY * self.limit and self._inside_a_sentence(low):
                    break
            elif size > 1:
                high = size
            elif self._cut_finer(0):
                high = None
            else:
                return 1, count
        return low, tokens

    def _guess(self, low: int, tokens: int, high: int | None, attempt: int) -> int:
        """Guess how many pieces fit, at least `low`. After two wrong guesses the steps grow, then halve: few are needed."""
        room, length, size = self.limit - tokens, WIDEST * self.limit - len(self._text(low)), low
        while size < len(self.pieces) or self._reach(size):
            piece = self.pieces[size]
            room, length = room - self.ratio * piece.cost, length - len(piece.text)
            if room < 0 or length < 0:
                break
            size += 1
        if size > low and attempt > 2:
            size = min(low + ((size - low) << (attempt - 2)), len(self.pieces))
        if high is not None and size >= high:
            size = (low + high) // 2 if attempt > 2 else high - 1 - (high - low) // 64
        return max(size, 1)

    def _inside_a_sentence(self, index: int) -> bool:
        return self._reach(index) and self.pieces[index].level > 0

    def _open(self, index: int) -> Dialogue[bool]:
        """Cut a piece that seems to be over the limit alone, so that its first part fills the chunk before it."""
        if not self._reach(index):
            return False
        piece = self.pieces[index]
        if piece.fits or self.ratio * piece.cost <= self.limit:
            return False
        piece.fits = (yield piece.text) <= self.limit
        return not piece.fits and self._cut_finer(index)

    def _cut_finer(self, index: int) -> bool:
        piece = self.pieces[index]
        parts, level = finer(piece.text, piece.level)
        self.pieces[index : index + 1] = [_Piece(part, self.costs.of(part), level) for part in parts]
        return len(parts) > 1

    def _learn(self, size: int, tokens: int) -> None:
        cost = sum(piece.cost for piece in self.pieces[:size])
        if cost:  # a short text says little
            self.ratio += min(1.0, cost / self.limit) * (tokens / cost - self.ratio)

    def _share(self, before: tuple[str, int], short: tuple[str, int]) -> Dialogue[list[tuple[str, int]]]:
        """Make one chunk of two where it keeps the limit, else move the cut to the sentence end nearest to their middle."""
        whole = before[0] + short[0]
        if (tokens := (yield whole)) <= self.limit:
            return [(whole, tokens)]
        parts = sentences_of(whole)
        costs = list(accumulate(map(self.costs.of, parts)))
        for cut in sorted(range(1, len(parts)), key=lambda cut: abs(costs[-1] - 2 * costs[cut - 1]))[:2]:
            halves = "".join(parts[:cut]), "".join(parts[cut:])
            counts = (yield halves[0]), (yield halves[1])
            if self.minimum <= min(counts) and max(counts) <= self.limit:
                return list(zip(halves, counts, strict=True))
        return [before, short]

    def _reach(self, index: int) -> bool:
        """Read on until there is a piece at this place ahead; tell whether there is one."""
        while index >= len(self.pieces):
            if (found := next(self.source, None)) is None:
                return False
            self.pieces += [_Piece(sentence, self.costs.of(sentence)) for sentence in found]
        return True

    def _text(self, size: int) -> str:
        return "".join(piece.text for piece in self.pieces[:size])


def _explode(documents: pa.Table, chunks: list[list[tuple[str, int]]]) -> pa.Table:
    """Repeat each document's row for its chunks; a document without chunks stays one row, with nulls."""
    repeats = np.array([max(1, len(own)) for own in chunks], dtype=np.int64)
    filled = np.repeat([bool(own) for own in chunks], repeats).astype(bool)
    flat = [chunk for own in chunks for chunk in own]
    added = {
        "chunk_index": [index for own in chunks for index in range(len(own))],
        "source_text": [text for text, _ in flat],
        "source_tokens": [tokens for _, tokens in flat],
    }
    table = documents.drop_columns("text").take(pa.array(np.repeat(np.arange(len(chunks)), repeats)))
    table = with_columns(table, **{name: spread(own, filled, CHUNKS.field(name).type) for name, own in added.items()})
    return table.select(CHUNKS.names)
