"""Why rows leave, as STAGE/REASON, and whose fault that is."""

from operators.storage.base import UNREADABLE

REPHRASE = "rephrase"  # the stage of requests to a model
FAILED = frozenset({"error", "crash", "deadline", UNREADABLE})  # in any stage
NO_WHOLE_ANSWER = frozenset({"clean/truncated", "clean/only_reasoning", "clean/empty"})

Blame = tuple[
    str | None, str
]  # a style (null: any) and the reason for which it came to nothing through no fault of its rows


def has_failed(reason: str) -> bool:
    """Whether something came to nothing, and no rule turned it down: what `--retry failed` does again."""
    stage, _, word = reason.partition("/")
    return stage == REPHRASE or word in FAILED


def is_unanswered(reason: str) -> bool:
    """Whether it failed, or what came was no whole answer: the documents have no part in what all of them meet so."""
    return has_failed(reason) or reason in NO_WHOLE_ANSWER
