"""Reasoning and turn markers that a chat model left around its answer."""

import re

from operators.rewrite.rules.base import Repair

TAGS = "think|thinking|thought|reasoning|reflection|scratchpad"
BLOCK = re.compile(rf"<({TAGS})>.*?</\1>\s*", re.IGNORECASE | re.DOTALL)
OPENED = re.compile(rf"<(?:{TAGS})>", re.IGNORECASE)
CLOSED = re.compile(rf"</(?:{TAGS})>\s*", re.IGNORECASE)
TURN = r"<\|[\w ]{1,30}\|>|</?s>|<(?:start|end)_of_turn>|\[/?INST\]|</?passage>"
LEADING = re.compile(rf"\A\s*(?:(?:{TURN})\s*(?:(?:assistant|model|final)\b[ \t]*)?)+")
TRAILING = re.compile(rf"(?:\s*(?:{TURN}))+\s*\Z")


def cut_thinking(text: str, source: str) -> str:
    """Cut reasoning blocks, also one whose opening tag stood in the prompt, and markers before or after the answer.

    A block that never ends leaves nothing: the model did not come to its answer.
    """
    if "<" not in text and "[" not in text:
        return text
    if not (OPENED.search(source) or CLOSED.search(source)):
        text = BLOCK.sub("", text)
        text = CLOSED.split(text)[-1]
        text = OPENED.split(text, maxsplit=1)[0]
    for edge in (LEADING, TRAILING):
        found = edge.search(text)
        if found and found[0].strip() not in source:
            text = text[: found.start()] + text[found.end() :]
    return text


RULE = Repair("cut reasoning blocks and turn markers around the answer", cut_thinking)
