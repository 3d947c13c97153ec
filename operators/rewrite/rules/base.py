"""The contract of a rule: it looks at one rewrite and says why it must leave, or nothing.

A repair is a function from (text, source) to the text with something cut away. Both are careful of what the source says
itself: a page about refusals, prompts or paraphrases is not to be punished for it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from operators.rewrite.prompts import Prompt

# A unit is a word, or one character of a script that is written without spaces (Chinese, Japanese, Thai, Lao, Burmese,
# Khmer). Longer words are cut, so that an endless "hahaha" is many units.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
UNIT = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]{{1,24}}")


class Text:
    """A text and what several rules want to know of it, worked out once."""

    def __init__(self, value: str):
        self.value = value

    @cached_property
    def plain(self) -> str:
        """The text in small letters, with typewriter apostrophes."""
        return self.value.lower().replace("\u2019", "'")

    @cached_property
    def units(self) -> list[str]:
        """Its words (or characters, see UNIT) in order, without case and punctuation."""
        return UNIT.findall(self.value.casefold())

    @cached_property
    def different(self) -> set[str]:
        """Its different units."""
        return set(self.units)

    @cached_property
    def letters(self) -> str:
        """Its units in one string."""
        return "".join(self.units)

    @cached_property
    def spaced(self) -> bool:
        """Whether it is written with spaces between words."""
        return len(self.letters) > 1.6 * len(self.units)

    def span(self, words: int) -> int:
        """Units in a stretch of so many words; a word is about 1.6 characters where there are no spaces."""
        return words if self.spaced else round(1.6 * words)

    def runs(self, length: int) -> list[tuple[str, ...]]:
        """Every stretch of `length` units."""
        return list(zip(*(self.units[start:] for start in range(length)), strict=False))

    @cached_property
    def fives(self) -> set[tuple[str, ...]]:
        """The different stretches of five words (see span)."""
        return set(self.runs(self.span(5)))


class Phrases:
    """Patterns to find in a plain text, each behind a literal that its matches hold.

    The literal is looked for first: nearly every text lacks it, and that search is far cheaper than the pattern's.
    """

    def __init__(self, patterns: dict[str, str]):
        self.patterns = [(literal, re.compile(pattern, re.MULTILINE)) for literal, pattern in patterns.items()]

    def find(self, plain: str) -> str | None:
        """Give the first phrase found, or None."""
        for literal, pattern in self.patterns:
            if literal in plain:
                found = pattern.search(plain)
                if found:
                    return found[0].strip()
        return None


@dataclass
class Row:
    """What the rules look at.

    `written` is what the model wrote, repaired and brought into its form; `tokens` is an estimate of the tokens of the
    text that the row will hold. `failure` is (reason, detail) where the prompt's own check failed.
    """

    written: Text
    source: Text
    prompt: Prompt
    tokens: int
    finish_reason: str | None
    failure: tuple[str | None, str | None]


Rule = Callable[[Row], str | None]  # the detail (what was measured, and the limit) of a row that must leave, else None
Repair = Callable[[str, str], str]  # (text, source) -> the text, shorter or as it was
