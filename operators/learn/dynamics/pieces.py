"""The text of each token, so that what is shown token by token reads as the text itself.

A token may be a part of a character (bytes of a Korean syllable) or of what a reader sees as one (an emoji of several
characters, a letter and its accent). Such a whole is given to its last token; the tokens before it show nothing.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

from icu4py.breakers import CharacterBreaker
from tokenizers import Tokenizer

BROKEN = "\ufffd"  # what decoders write for bytes that are no character, or not yet one


def pieces(tokenizer: Tokenizer, tokens: Sequence[int]) -> list[str]:
    """Give one text per token, special tokens among them; joined they are the decoded text, whatever the tokens."""
    ids = [int(token) for token in tokens]
    text = tokenizer.decode(ids, skip_special_tokens=False)
    ends = _ends(lambda part: tokenizer.decode(part, skip_special_tokens=False), ids, text)
    graphemes = [0, *accumulate(map(len, CharacterBreaker(text, "en")))]
    cuts = [graphemes[bisect_right(graphemes, end) - 1] for end in ends]
    return [text[begin:end] for begin, end in pairwise([0, *cuts])]


def _ends(decode: Callable[[list[int]], str], tokens: list[int], text: str) -> list[int]:
    """Find how many characters of the text are finished after each token.

    From one token that ends a character to the next the tokens are decoded together, behind the token before them: many
    decoders drop a space at the front.
    """
    ends, context, begin, offset = [], 0, 0, 0
    for index in range(len(tokens)):
        known = decode(tokens[context:begin])
        here = decode(tokens[context : index + 1])[len(known) :]
        common = _common(here, text[offset : offset + len(here)])
        ends.append(offset + common)
        if here and common == len(here) and not here.endswith(BROKEN):
            context, begin, offset = begin, index + 1, offset + common
    return [*ends[:-1], len(text)] if ends else []


def _common(one: str, other: str) -> int:
    """Count the characters with which both begin."""
    differing = (place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1])
    return next(differing, min(len(one), len(other)))
