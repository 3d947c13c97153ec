"""Numbers and names of a source that its rewrite does not have."""

import re
from collections.abc import Iterator
from unicodedata import decimal

GROUP = "[ ,.'\u2019\u00a0\u2009\u202f]"  # what stands between groups of three digits in one country or another
NUMBER = re.compile(rf"(?<![A-Za-z\d])(?:\d{{1,3}}(?:{GROUP}\d{{3}})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)*)")
GROUPED = re.compile(rf"(\d{{1,3}}({GROUP})\d{{3}}(?:\2\d{{3}})*)(?:[.,](\d+))?")
WIDE = re.compile("(?<=[\uff10-\uff19])[\uff0c\uff0e](?=[\uff10-\uff19])")  # point and comma among full-width digits
SCALES = {
    "thousand": 3, "million": 6, "billion": 9, "trillion": 12,
    "tausend": 3, "millionen": 6, "milliarden": 9, "mille": 3, "millions": 6, "milliards": 9, "millones": 6,
    "천": 3, "만": 4, "억": 8, "千": 3, "万": 4, "萬": 4, "亿": 8, "億": 8,
}  # fmt: skip
SCALE = re.compile(rf"[ \u00a0]?({'|'.join(sorted(SCALES, key=len, reverse=True))})", re.IGNORECASE)
SPELT = [
    ("one", "first"), ("two", "second"), ("three", "third"), ("four", "fourth"), ("five", "fifth"), ("six", "sixth"),
    ("seven", "seventh"), ("eight", "eighth"), ("nine", "ninth"), ("ten", "tenth"), ("eleven", "eleventh"),
    ("twelve", "twelfth"),
]  # fmt: skip
SMALL_NUMBERS = {word: str(value) for value, words in enumerate(SPELT, start=1) for word in words}

WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
SENTENCE_END = re.compile('[.!?:;\n\u2026"\u201c\u201d(\\[*•|>]\\W*\\Z')
HEADLINE = 0.5  # share of capitals inside sentences from which they tell nothing
GERMAN = {"der", "die", "das", "und", "den", "dem", "des", "ein", "eine", "einen", "nicht", "ist", "mit", "für", "von"}
GERMAN_SHARE = 0.15  # of the small words
STEM = 0.7  # share of a name that must stay: languages with cases change its end


def lost_numbers(source: str, text: str) -> tuple[list[str], int]:
    """Give the different numbers of the source that the text lacks, as they were written, and how many it had.

    1,000 and 1 000 and 1000 are equal, so are 3.50 and 3,5, full-width and plain digits, "2 million" and 2000000. In
    the text small numbers may be spelt in English. A mark that can be read in two ways (1.234) has both readings.
    """
    asked = {min(readings): (written, readings) for written, readings in _numbers(source)}
    had = {reading for _, readings in _numbers(text) for reading in readings}
    had.update(SMALL_NUMBERS[word] for word in WORD.findall(text.casefold()) if word in SMALL_NUMBERS)
    return [written for written, readings in asked.values() if not readings & had], len(asked)


def lost_names(source: str, text: str) -> tuple[list[str], int]:
    """Give the different names of the source that the text lacks, and how many the source had.

    A name is a word of two letters or more that is capital inside a sentence and never small. None can be told in a
    script without case, in German (all its nouns are capital) and in a headline.
    """
    names = _names(source)
    words = {part for word in WORD.findall(text.casefold()) for part in (word, *re.split("['\u2019-]", word))}
    lost = []
    for name in names:
        stem = name.casefold()[: max(4, round(STEM * len(name)))]
        if not any(word.startswith(stem) for word in words):
            lost.append(name)
    return lost, len(names)


def _numbers(text: str) -> Iterator[tuple[str, set[str]]]:
    """Find numbers as they are written, each with its readings in plain decimal form."""
    text = WIDE.sub(lambda found: "," if found[0] == "\uff0c" else ".", text)
    for found in NUMBER.finditer(text):
        scale = SCALE.match(text, found.end())
        for written, readings in _readings("".join(str(decimal(sign, sign)) for sign in found[0])):
            yield (
                written,
                readings | ({_scaled(plain, SCALES[scale[1].lower()]) for plain in readings} if scale else set()),
            )


def _readings(digits: str) -> list[tuple[str, set[str]]]:
    """Read one mark: as grouped digits, as a decimal, or as several numbers joined by points (a date, a version)."""
    grouped = GROUPED.fullmatch(digits)
    if grouped:
        whole, separator, fraction = grouped.groups()
        readings = {_plain(re.sub(GROUP, "", whole), fraction or "")}
        if separator in ".," and whole.count(separator) == 1 and not fraction:
            readings.add(_plain(*whole.split(separator)))
        return [(digits, readings)]
    parts = re.split(GROUP, digits)
    if len(parts) == 2:
        return [(digits, {_plain(*parts)})]
    return [(part, {_plain(part, "")}) for part in parts]


def _plain(whole: str, fraction: str) -> str:
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def _scaled(plain: str, zeros: int) -> str:
    whole, _, fraction = plain.partition(".")
    fraction = fraction.ljust(zeros, "0")
    return _plain(whole + fraction[:zeros], fraction[zeros:])


def _names(text: str) -> list[str]:
    words = list(WORD.finditer(text))
    small = [found[0].casefold() for found in words if found[0][0].islower()]
    inside = [found[0] for found in words[1:] if found[0][0].isupper() and not _begins_sentence(text, found.start())]
    german = sum(word in GERMAN for word in small) > GERMAN_SHARE * len(small)
    if german or len(inside) > HEADLINE * (len(small) + len(inside)):
        return []
    names = dict.fromkeys(re.sub("['\u2019]s$", "", word) for word in inside)
    return [name for name in names if len(name) > 1 and name.casefold() not in small]


def _begins_sentence(text: str, start: int) -> bool:
    return bool(SENTENCE_END.search(text, max(0, start - 6), start))
