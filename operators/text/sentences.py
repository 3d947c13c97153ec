"""Cut text at its natural joints, the coarsest first: sentences, lines, words, places to wrap, graphemes, characters.

Every cut is lossless: the pieces joined are the text. White space at a cut stays with the piece before it, white space
at the front with the first piece; only the last resort, single characters, may part a run of white space.

ICU (through icu4py, whose wheels carry it) knows the sentence ends of every script without being told the language:
Unicode UAX 29, in linear time. Two things it does not know are added: abbreviations, and lines that an editor wrapped.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise

from icu4py.breakers import CharacterBreaker, LineBreaker, SentenceBreaker

LOCALE = "en"  # the rules of UAX 29 and 14 are the same for every language; ICU wants a name all the same

# An empty line ends a sentence, and so does a line end before a heading or a list item.
PARAGRAPH = re.compile(r"\n[^\S\n]*(?:\n\s*|(?=(?:[-*+•‣◦▪]|#{1,6}|\d{1,3}[.)])[^\S\n]))")
ENUMERATOR = re.compile(r"\s*\(?\d{1,3}\.\s*")
# "J.", "U.S.", "e.g.", "z.B.", "Ph.D.", in scripts with capitals: elsewhere one letter before a dot is a word.
INITIALS = re.compile(r"[(\[\"'“„«]*(?:[A-Za-zÀ-ɏͰ-ӿ]{1,3}\.)*[A-Za-zÀ-ɏͰ-ӿ]\.")
# Words that a name or a number follows: before a small letter a dot ends no sentence anyway.
TITLES = (
    "mr mrs ms dr prof rev hon st mt ft sr gen col capt cpt lt sgt maj cmdr gov sen rep pres supt mme mlle hr fr frl"
)
REFERENCES = (
    "no nos nr núm vol vols fig figs eq eqs ch chap art abb tab bd hrsg ed eds pp cf vs viz approx ca al str рис"
)
MONTHS = "jan feb mar apr jun jul aug sep sept oct okt nov dec dez"
ABBREVIATIONS = frozenset(f"{TITLES} {REFERENCES} {MONTHS} dipl ing sra srta dra dott sig ул им проф акад".split())
LONGEST_ABBREVIATION = 8  # characters, with a quote before it
LOOK_BACK = 16  # characters that hold one and the white space behind it
OPENING = frozenset("「『（《〈【〔“‘«([{")


def sentences(text: str, window: int) -> Iterator[list[str]]:
    """Yield the sentences of a text, some at a time. It is read by `window` characters: no layout costs more time or memory.

    A sentence that fills a window is cut at its last word there, or anywhere if it has no words.
    """
    start = 0
    while start < len(text):
        part = text[start : start + window]
        found = sentences_of(part)
        if start + window < len(text):  # the last one may go on behind the window
            found = found[:-1] or [_without_last_word(part)]
        yield found
        start += sum(map(len, found))


def sentences_of(text: str) -> list[str]:
    """Split at sentence ends, empty lines, headings and list items; a dot after an abbreviation is no end."""
    flat = text.replace("\r", " ").replace("\n", " ")  # for ICU every line end would be a sentence end
    ends = list(accumulate(map(len, SentenceBreaker(flat, LOCALE))))
    ends = [_before_opening(text, end) for start, end in pairwise([0, *ends]) if not _goes_on(text, start, end)]
    return _cut(text, sorted({*ends, *(match.end() for match in PARAGRAPH.finditer(text))}))


def finer(text: str, level: int) -> tuple[list[str], int]:
    """Split a piece at the coarsest joints from `level` on that it has; tell the level for splitting its parts.

    0 is the level for a sentence. A single character comes back as it is.
    """
    for deeper, split in enumerate(_LEVELS[level:], level + 1):
        pieces = split(text)
        if len(pieces) > 1:
            return pieces, deeper
    return [text], len(_LEVELS)


def _goes_on(text: str, start: int, end: int) -> bool:
    """Whether text[start:end], a sentence for ICU, ends with a dot that ends nothing."""
    words = text[max(start, end - LOOK_BACK) : end].split()
    word = words[-1] if words else ""
    if not word.endswith(".") or len(word) > LONGEST_ABBREVIATION:
        return False
    if word.lstrip("([\"'“„«")[:-1].lower() in ABBREVIATIONS or INITIALS.fullmatch(word):
        return True
    return len(words) == 1 and ENUMERATOR.fullmatch(text, start, end) is not None


def _before_opening(text: str, end: int) -> int:
    """Move an end before an opening quote: UAX 29 leaves it with the sentence before where no space stands between."""
    return end - 1 if text[end - 1] in OPENING and end < len(text) else end


def _cut(text: str, ends: Iterable[int]) -> list[str]:
    """Cut at those of the rising ends that no white space follows, and that have more than white space before them."""
    first = len(text) - len(text.lstrip())
    inner = [end for end in ends if first < end < len(text) and not text[end].isspace()]
    return [text[start:end] for start, end in pairwise([0, *inner, len(text)])]


def _without_last_word(text: str) -> str:
    """Take the last word off, as its end is out of sight; or the last grapheme, where all is one word."""
    words = _words(text)
    if len(words) > 1:
        return text[: -len(words[-1])]
    graphemes = _graphemes(text[-64:])
    return text[: -len(graphemes[-1])] if len(graphemes) > 1 else text


def _lines(text: str) -> list[str]:
    return _cut(text, accumulate(map(len, SentenceBreaker(text, LOCALE))))


_words = re.compile(r"\S+\s*|\s+").findall


def _wraps(text: str) -> list[str]:
    """Split where a line may be wrapped: in an address at its slashes, in Thai at words, in Chinese not before commas."""
    return _cut(text, accumulate(map(len, LineBreaker(text, LOCALE))))


def _graphemes(text: str) -> list[str]:
    return _cut(text, accumulate(map(len, CharacterBreaker(text, LOCALE))))


def _runs(text: str) -> list[str]:
    """Split into runs of 16 graphemes: a text without any joint gets by with a sixteenth of the pieces."""
    graphemes = _graphemes(text)
    return ["".join(graphemes[start : start + 16]) for start in range(0, len(graphemes), 16)]


_LEVELS = (_lines, _words, _wraps, _runs, _graphemes, list)
