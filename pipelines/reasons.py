"""Why rows leave, as STAGE/REASON, and whose fault that is."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from operators.storage.base import UNREADABLE

FAILED = frozenset({"error", "crash", "deadline", UNREADABLE})  # in any stage

NO_TEXT = "no_text"  # of a stage that asks a model: it ended well, without a text

# A kind of rows (null: any), and the reason for which it came to nothing through no fault of its rows.
Blame = tuple[str | None, str]


def has_failed(reason: str, asking: Collection[str]) -> bool:
    """Whether something came to nothing, and no rule turned it down: what `--retry failed` does again.

    `asking` are the stages that ask a model: what leaves in one of them has failed.
    """
    stage, _, word = reason.partition("/")
    return stage in asking or word in FAILED


def asking_of(recipe: Mapping[str, Any]) -> Collection[str]:
    """Name the stages of an artifact's pipeline that ask a model; only `rephrase` did before recipes said so."""
    return recipe.get("asking", ("rephrase",))


@dataclass(frozen=True)
class Reasons:
    """What the reasons of a pipeline that asks a model mean.

    `asking` are its stages that ask, `judging` those that turn answers down, and `later` those after them that turn down good
    answers. `no_whole_answer` are the reasons for which an answer is none.
    `advice` tells the user what to do where nearly all answers come to nothing for a STAGE/REASON, or in a STAGE; `{rule}` in it
    stands for the reason.
    """

    asking: tuple[str, ...] = ()
    judging: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    no_whole_answer: frozenset[str] = frozenset()
    advice: Mapping[str, str] = field(default_factory=dict)

    def is_unanswered(self, reason: str) -> bool:
        """Whether it failed, or what came was no whole answer: the rows have no part in what all of them meet so."""
        return has_failed(reason, self.asking) or reason in self.no_whole_answer

    def judged_as(self, reason: str) -> str:
        """Name what a reason is a sign of: that no answer came shows itself in several, by how far the model got."""
        stage, _, word = reason.partition("/")
        return NO_TEXT if reason in self.no_whole_answer or (stage in self.asking and word == NO_TEXT) else reason

    def advice_on(self, reason: str) -> str:
        stage, _, rule = reason.partition("/")
        return self.advice.get(reason, self.advice.get(stage, "")).format(rule=rule)
