"""Texts into tokens, with the tokens at which parts of a text begin."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from tokenizers import Encoding, Tokenizer

LONGEST = 2**20  # characters encoded at once: an encoding takes some hundred bytes a token
MOST_AT_ONCE = 1024  # pieces


class MarkedText(NamedTuple):
    """A text to encode. `marks` are the characters whose tokens are asked for. No token crosses one of `cuts`; in the parts
    that begin at one of `literal`, which are cuts too, what is written like a special token is text.
    """

    text: str
    marks: tuple[int, ...] = ()
    cuts: frozenset[int] = frozenset()
    literal: frozenset[int] = frozenset()


def literal(text: str) -> MarkedText:
    """Make a text of something that has no special tokens, whatever is written in it."""
    return MarkedText(text, literal=frozenset({0}))


class Encoded(NamedTuple):
    """Tokens of a text, int32 (T,), and for each mark how many of them are of the text before it."""

    ids: np.ndarray
    marks: list[int]


class Encoder:
    """Encodes texts, and adds nothing to them.

    A text is encoded as a whole. Only where a token would have characters on both sides of a mark, the sides are encoded
    apart. A text above LONGEST characters is encoded in stretches that end with a line or a word.
    """

    def __init__(self, tokenizer: Tokenizer):
        self.reading, self.literal = _bare(tokenizer), _bare(tokenizer)
        self.literal.encode_special_tokens = True

    def __call__(self, texts: Sequence[MarkedText], most: int | None = None) -> list[Encoded | None]:
        """Encode each text; None where it has more than `most` tokens, which is told without encoding all of it."""
        encoded = self._encoded(texts, most)
        again = {place: crossed for place, (_, crossed) in enumerate(encoded) if crossed}
        apart = [texts[place]._replace(cuts=texts[place].cuts | crossed) for place, crossed in again.items()]
        for place, (found, _) in zip(again, self._encoded(apart, most), strict=True):
            encoded[place] = (found, frozenset())
        return [found for found, _ in encoded]

    def _encoded(self, texts: Sequence[MarkedText], most: int | None) -> list[tuple[Encoded | None, frozenset[int]]]:
        """Give the tokens of each text, and the marks inside of one of them."""
        parts: list[list[_Part]] = [[] for _ in texts]
        counts, over = [0] * len(texts), set()
        for some in _batches(_pieces(texts, over)):
            for owner, part in self._parts(some, any(text.marks for text in texts)):
                parts[owner].append(part)
                counts[owner] += len(part.ids)
                if most is not None and counts[owner] > most:
                    over.add(owner)
        return [
            (None, frozenset()) if owner in over else _joined(text, parts[owner]) for owner, text in enumerate(texts)
        ]

    def _parts(self, pieces: list["_Piece"], placed: bool) -> Iterator[tuple[int, "_Part"]]:
        for tokenizer, literal in ((self.reading, False), (self.literal, True)):
            some = [piece for piece in pieces if piece.literal == literal]
            encode = tokenizer.encode_batch if placed else tokenizer.encode_batch_fast  # which has no places
            for piece, encoding in zip(
                some, encode([piece.text for piece in some], add_special_tokens=False), strict=True
            ):
                yield piece.owner, _part(piece, encoding, placed)


class _Piece(NamedTuple):
    owner: int  # number of the text
    at: int  # the character where it begins there
    text: str
    literal: bool


class _Part(NamedTuple):
    at: int
    ids: np.ndarray
    places: np.ndarray  # (T, 2): first character, and the one after the last


def _part(piece: _Piece, encoding: Encoding, placed: bool) -> _Part:
    ids = np.array(encoding.ids, dtype=np.int32)
    places = np.array(encoding.offsets if placed else [], dtype=np.int64).reshape(-1, 2)
    return _Part(piece.at, ids, places + piece.at)


def _joined(text: MarkedText, parts: list[_Part]) -> tuple[Encoded, frozenset[int]]:
    parts = sorted(parts, key=lambda part: part.at)  # what is literal was encoded after the rest of its batch
    ids = np.concatenate([np.empty(0, np.int32), *(part.ids for part in parts)])
    begins, ends = np.concatenate([np.empty((0, 2), np.int64), *(part.places for part in parts)]).T
    crossed = frozenset(mark for mark in text.marks if np.any((begins < mark) & (mark < ends)))
    return Encoded(ids, [int(np.count_nonzero(begins < mark)) for mark in text.marks]), crossed


def _pieces(texts: Sequence[MarkedText], over: set[int]) -> Iterator[_Piece]:
    """Yield what is encoded in one go, and no more of a text once it is `over`."""
    for owner, text in enumerate(texts):
        for begin, end in pairwise(sorted({0, *text.cuts, len(text.text)})):
            at = begin
            for piece in stretches(text.text[begin:end]):
                if owner in over:
                    break
                yield _Piece(owner, at, piece, begin in text.literal)
                at += len(piece)


def stretches(text: str, longest: int = LONGEST) -> Iterator[str]:
    """Cut a text into stretches of at most `longest` characters, after a line's end or before a space where there is one."""
    while len(text) > longest:
        line = text.rfind("\n", longest // 2, longest) + 1
        at = line or max(text.rfind(" ", longest // 2, longest), 0) or longest
        yield text[:at]
        text = text[at:]
    if text:
        yield text


def _batches(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    """Gather pieces of texts up to LONGEST characters or a little more."""
    some: list[_Piece] = []
    size = 0
    for piece in pieces:
        some.append(piece)
        size += len(piece.text)
        if size >= LONGEST or len(some) == MOST_AT_ONCE:
            yield some
            some, size = [], 0
    if some:
        yield some


def _bare(tokenizer: Tokenizer) -> Tokenizer:
    """Copy a tokenizer without what it does to finished tokens: some trim the white space off their places."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.post_processor = None
    return copy
