"""Words of our own instruction, or talk about the task, in what should be the rewrite alone.

Source: WRAP, arXiv:2401.16380, appendix B: after the cut, a flagged word still there drops the whole rewrite.
"""

import re
from functools import lru_cache

from operators.prompts import Prompt
from operators.rules.base import Row, Text
from operators.rules.introduction import introduces

WORDS = 6  # so many words of the instruction in a row are no accident
LINE = r"^[ \t*_(>-]*"  # a line may begin in brackets or bold
TALK = re.compile(
    "|".join(
        [
            r"\b(?:paraphrased|rephrased) (?:version|text|passage|paragraph|sentence)",
            r"\brewritten (?:passage|paragraph)|\b(?:the|your) (?:given|provided) (?:passage|text)\b",
            rf"{LINE}(?:note|explanation): (?:i(?:'ve)? )?(?:have )?(?:kept|used|changed|replaced|removed|simplified)",
            rf"{LINE}(?:note|explanation): th(?:is|e) (?:version|rewrit|paraphras|text|passage|above)",
            r"\bi(?:'ve| have) (?:tried to|kept|used|replaced|removed|preserved|maintained|simplified) [^.\n]{0,60}"
            r"\b(?:the passage|the original (?:text|passage|meaning|wording)|your instructions?)\b",
            rf"{LINE}let me know if you(?:'d like| would like| want| need) "
            r"(?:me to|any (?:further|other)|further|anything)",
            rf"{LINE}i hope this (?:rewrite|version|paraphrase|meets)",
        ]
    ),
    re.IGNORECASE | re.MULTILINE,
)


def leaked(row: Row) -> str | None:
    """Quote what leaked: a line that introduces, talk about the task, or a stretch of the prompt's own words."""
    written, source = row.written, row.source
    if introduces(written.value) and not introduces(source.value):
        return "a line introduces the rewrite still"
    found = TALK.search(written.straight)
    if found and not TALK.search(source.straight):
        return f'the answer says "{found[0].strip()}"'
    length, own = _own_words(row.prompt)
    leaks = own.intersection(written.runs(length))
    leaks = leaks.difference(source.runs(length)) if leaks else leaks
    return f'the answer repeats the instruction: "{" ".join(min(leaks))}"' if leaks else None


@lru_cache(maxsize=256)
def _own_words(prompt: Prompt) -> tuple[int, frozenset[tuple[str, ...]]]:
    text = Text(prompt.instructions)
    return text.span(WORDS), frozenset(text.runs(text.span(WORDS)))
