"""Reasoning and turn markers that a chat model left around its answer."""

import re
from collections.abc import Sequence

from operators.rewrite.rules.base import Cut, Option, Repair
from operators.rewrite.thoughts import Thoughts

TURN = (
    r"<\|[\w ]{1,30}\|>|</?s>|<(?:start|end)_of_turn>|<\|turn>|<turn\|>|<(?:bos|eos)>|\[/?INST\]|</?passage>|"
    r"\[(?:BEGIN|END) FINAL RESPONSE\]"
)
SPEAKER = r"(?:assistant|model|final|response|message|answer)\b[ \t]*"
LEADING = re.compile(rf"\A\s*(?:(?:{TURN})\s*(?:{SPEAKER})?)+")
TRAILING = re.compile(rf"(?:\s*(?:{TURN})(?:(?:{SPEAKER})(?=<))?)+\s*\Z")


def cutting(more: Sequence[str] | None) -> Cut:
    """Make what cuts reasoning, also such in marks that a user names."""
    thoughts = Thoughts(more or ())

    def cut(text: str, source: str) -> str:
        """Cut reasoning, also such whose beginning stood in the prompt, and markers before or after the answer.

        A thought that never ends leaves nothing: the model did not come to its answer.
        """
        text = thoughts.cut(text, source)
        if "<" not in text and "[" not in text:
            return text
        for edge in (LEADING, TRAILING):
            found = edge.search(text)
            if found and found[0].strip() not in source:
                text = text[: found.start()] + text[found.end() :]
        return text

    return cut


RULE = Repair(
    "cut reasoning and turn markers around the answer",
    lambda config: cutting(config.thoughts),
    options={
        "thoughts": Option(
            None,
            "thinking_cut: more marks of reasoning than it knows, a list: NAME of a tag, or OPENING...CLOSING",
            lambda name, more: cutting(more) and None,
            list[str] | None,
        )
    },
)
