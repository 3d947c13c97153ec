"""The contract of a rule: what it says of itself, and what it looks at.

A rule is a file of this folder with one RULE in it, a Repair or a Drop. The file's name is the rule's: of its setting, of its
reason for dropping a rewrite, in the column `repaired`. Rules are careful of what the source says itself: a page about
refusals, prompts or paraphrases is not to be punished for it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from operators.errors import BadRequest
from operators.rewrite.prompts import Prompt

# A unit is a word, or one character of a script that is written without spaces (Chinese, Japanese, Thai, Lao, Burmese,
# Khmer). Longer words are cut, so that an endless "hahaha" is many units.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
UNIT = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]{{1,24}}")


class AnalysedText:
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
class JudgedRewrite:
    """What the drops look at.

    `written` is what the model wrote, repaired and brought into its form, `answer` all that it wrote; `tokens` is an estimate
    of the tokens of the text that the row will hold. `failure` is (reason, detail) where the prompt's own check failed.
    """

    written: AnalysedText
    answer: AnalysedText
    source: AnalysedText
    prompt: Prompt
    tokens: int
    finish_reason: str | None
    failure: tuple[str | None, str | None]

    def failed(self, reason: str) -> str | None:
        """Give the detail of the prompt's own check where it failed for this reason."""
        return self.failure[1] if self.failure[0] == reason else None


Cut = Callable[[str, str], str]  # (text, source) -> the text, shorter or as it was
# The detail (what was measured, and the limit) of a rewrite that must leave, else None.
Judge = Callable[[JudgedRewrite], str | None]


@dataclass(frozen=True)
class Option:
    """What a rule can be told: a field of CleanConfig. `check(name, value)` raises BadRequest for an impossible value."""

    default: Any
    doc: str
    check: Callable[[str, Any], None]
    type: Any = float


def share(default: float, doc: str) -> Option:
    """A threshold that is a share from 0 to 1."""

    def check(name: str, value: float) -> None:
        if not 0 <= value <= 1:
            raise BadRequest(f"clean.{name} is a share from 0 to 1, got {value}. For 60% write 0.6.")

    return Option(default, doc, check)


@dataclass(frozen=True)
class Repair:
    """A rule that cuts something away, before the answer is brought into its prompt's form.

    `doc` is the line of its setting, `presets` are those in which it is on. `make` is given the CleanConfig, where its `options`
    stand by name. Where the prompt fixes the answer's opening line, `spares_opening` leaves the rule out, and `behind_opening`
    asks it once more of what stands behind that line.
    """

    doc: str
    make: Callable[[Any], Cut]
    presets: tuple[str, ...] = ("strict",)
    options: Mapping[str, Option] = field(default_factory=dict)
    spares_opening: bool = False
    behind_opening: bool = False


@dataclass(frozen=True)
class Drop:
    """A rule that says why a rewrite must leave.

    `doc` is the line of its setting, `presets` are those in which it is on. `make` is given the CleanConfig, where its
    `options` stand by name, and is called for a rule that is on: it may load what is heavy.
    """

    doc: str
    make: Callable[[Any], Judge]
    presets: tuple[str, ...] = ("strict",)
    options: Mapping[str, Option] = field(default_factory=dict)
