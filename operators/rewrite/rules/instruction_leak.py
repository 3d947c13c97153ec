"""Words of our own instruction, or talk about the task, in what should be the rewrite alone.

Source: WRAP, arXiv:2401.16380, appendix B: after the cut, a flagged word still there drops the whole rewrite.
"""

from functools import lru_cache

from operators.rewrite.prompts import Prompt
from operators.rewrite.rules.base import AnalysedText, Drop, JudgedRewrite, Phrases
from operators.rewrite.rules.intro_cut import introduces

WORDS = 6  # so many words of the instruction in a row are no accident
LINE = r"^[ \t*_(>-]*"  # a line may begin in brackets or bold
DONE = "(?:i(?:'ve)? )?(?:have )?(?:kept|used|changed|replaced|removed|simplified)"
THIS = "th(?:is|e) (?:version|rewrit|paraphras|text|passage|above)"
MINE = r"\b(?:the passage|the original (?:text|passage|meaning|wording)|your instructions?)\b"
VERBS = rf"(?:tried to|kept|used|replaced|removed|preserved|maintained|simplified) [^.\n]{{0,60}}{MINE}"
TALK = Phrases(
    {
        "paraphrased": r"\bparaphrased (?:version|text|passage|paragraph|sentence)",
        "rephrased": r"\brephrased (?:version|text|passage|paragraph|sentence)",
        "rewritten": r"\brewritten (?:passage|paragraph)",
        " given ": r"\b(?:the|your) given (?:passage|text)\b",
        " provided ": r"\b(?:the|your) provided (?:passage|text)\b",
        "note:": rf"{LINE}note: (?:{DONE}|{THIS})",
        "explanation:": rf"{LINE}explanation: (?:{DONE}|{THIS})",
        "i have ": rf"\bi have {VERBS}",
        "i've ": rf"\bi've {VERBS}",
        "let me know": rf"{LINE}let me know if you(?:'d like| would like| want| need) (?:me to|any|further)",
        "i hope this": rf"{LINE}i hope this (?:rewrite|version|paraphrase|meets)",
    }
)


def leaked(rewrite: JudgedRewrite) -> str | None:
    """Quote what leaked: a line that introduces, talk about the task, or a stretch of the prompt's own words."""
    written, source = rewrite.written, rewrite.source
    if introduces(written.value) and not introduces(source.value):
        return "a line introduces the rewrite still"
    found = TALK.find(written.plain)
    if found and not TALK.find(source.plain):
        return f'the answer says "{found}"'
    length, own = _own_words(rewrite.prompt)
    leaks = own.intersection(written.runs(length))
    leaks = leaks.difference(source.runs(length)) if leaks else leaks
    return f'the answer repeats the instruction: "{" ".join(min(leaks))}"' if leaks else None


@lru_cache(maxsize=256)
def _own_words(prompt: Prompt) -> tuple[int, frozenset[tuple[str, ...]]]:
    text = AnalysedText(prompt.instructions)
    return text.span(WORDS), frozenset(text.runs(text.span(WORDS)))


RULE = Drop(
    "drop an answer that introduces itself or repeats the instruction",
    lambda config: leaked,
    presets=("wrap", "strict"),
)
