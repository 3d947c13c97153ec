"""From an answer to the text that is kept: one small function per form that a prompt asks for.

A parser takes the answer, the source, the source's tokens and the row's key; it gives Parsed. An answer that is not in
the asked form carries the reason `unparsable` (`prefix_missing` where the markers are not there) and stays as it was.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Parsed:
    """What an answer holds.

    `written` is what the model wrote, in clean form; `text` is what a row keeps: the same, or the source with it.
    `reason` (None where all is well) is `prefix_missing` or `unparsable`, `detail` says what was looked for.
    """

    written: str
    text: str
    reason: str | None = None
    detail: str | None = None


Parser = Callable[[str, str, int, str], Parsed]

QUESTIONS = "question|q|frage|pregunta|domanda|pergunta|вопрос|질문|问题|問題|質問|问|問"
ANSWERS = "answer|a|antwort|réponse|respuesta|risposta|resposta|ответ|답변|답|答案|回答|答え|答"
COLON = r"[:\uff1a]"  # also the wide one of Chinese and Japanese
HEAD = r"^[ \t>#*•-]*(?:\d{1,2}[.)][ \t]*)?"  # a line may be quoted, a heading, bold, an item, numbered
LABEL = re.compile(  # at the head of a line, or after the sentence before it: "What is it? Answer: a port."
    rf"(?:{HEAD}|(?<=[?.!。\uff1f\uff01])[ \t]+)\**(?:({QUESTIONS})|({ANSWERS}))"
    rf"[ \t]*\d{{0,2}}\**[ \t]*{COLON}\**[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
PROBLEM = re.compile(
    rf"{HEAD}\**Problem[ \t*]*{COLON}[\s*]*(.+?){HEAD}\**Solution[ \t*]*{COLON}[ \t*]*(.+)", re.I | re.M | re.S
)
REWRITE = re.compile(r"^[ \t#*]*=+ *REWRITE *=+[ \t*]*$", re.MULTILINE)
END = re.compile(r"^[ \t#*]*=+ *END\b", re.MULTILINE)
TABLE = re.compile(r"^ *\|.*\| *\n *\|(?=[ :|]*-)[ :|-]*\| *\n *\|.*\|", re.MULTILINE)
BULLET = re.compile(r"^([ \t]*)(?:[-*+•·‣◦\u2013\u2014]|\d{1,2}[.)])[ \t]+", re.MULTILINE)
PASSAGE_LABEL = re.compile(r"^[ \t#*]*Passage(?: \d+)?\**:\**[ \t]*\n?", re.IGNORECASE | re.MULTILINE)
HEADING = re.compile(r"^#{1,6}[ \t]+", re.MULTILINE)
BOLD = re.compile(r"(?<![A-Za-z0-9*])\*\*(?=[^\s*])([^\n*]+?)(?<=\S)\*\*(?![A-Za-z0-9*])")


def plain(answer: str, source: str, source_tokens: int, key: str) -> Parsed:
    """Keep the answer as it is."""
    return Parsed(answer.strip(), answer.strip())


def prose(answer: str, source: str, source_tokens: int, key: str) -> Parsed:
    """Take away Markdown's headings and bold type and "Passage N:" labels, which running text does not have."""
    text = BOLD.sub(r"\1", HEADING.sub("", PASSAGE_LABEL.sub("", answer))).strip()
    return Parsed(text, text)


def pairs(answer: str, source: str, source_tokens: int, key: str) -> Parsed:
    """Keep the complete question-answer pairs, in the form "Question: ...\\nAnswer: ..."; a broken tail is dropped."""
    found = _pairs(answer)
    if not found:
        return _unparsable(answer, 'no pair of "Question:" and "Answer:"')
    text = _join(found)
    return Parsed(text, text)


def sampled_pairs(answer: str, source: str, source_tokens: int, key: str) -> Parsed:
    """Keep 1..max(1, 10 n / 150) of the pairs, n being the source's tokens, shuffled, and append them to the source.

    The draw hangs on the row's key alone, so a row that is made again is the same.
    Source: Nemotron-CC, arXiv:2412.02595, and its public recipe.
    """
    found = _pairs(answer)
    if not found:
        return _unparsable(answer, 'no pair of "Question:" and "Answer:"')
    draw = random.Random(key)
    draw.shuffle(found)
    written = _join(found[: draw.randint(1, max(1, 10 * source_tokens // 150))])
    return Parsed(written, f"{source.strip()}\n\n{written}")


def problem(answer: str, source: str, source_tokens: int, key: str) -> Parsed:
    """Keep a "Problem:" and its "Solution:"; what stands before them goes."""
    found = PROBLEM.search(answer)
    if not found:
        return _unparsable(answer, 'no "Problem:" with a "Solution:" after it')
    question, solution = found[1].strip(" *\n"), found[2].strip()
    text = f"Problem: {question}\n\nSolution: {solution}"
    return Parsed(text, text)


def table(answer: str, source: str, source_tokens: int, key: str) -> Parsed:
    """Keep the answer if it holds a Markdown table and a question-answer pair after it."""
    found = TABLE.search(answer)
    if not found:
        return _unparsable(answer, "no Markdown table with a heading row, a rule and a row")
    if not _pairs(answer[found.end() :]):
        return _unparsable(answer, 'no pair of "Question:" and "Answer:" after the table')
    return Parsed(answer.strip(), answer.strip())


def bullets(answer: str, source: str, source_tokens: int, key: str) -> Parsed:
    """Begin every item of a list with "- ", whatever sign or number the model chose, and take headings' signs away."""
    text = BULLET.sub(r"\1- ", HEADING.sub("", answer)).strip()
    return Parsed(text, text) if BULLET.search(text) else _unparsable(answer, "no list item")


def markers(answer: str, source: str, source_tokens: int, key: str) -> Parsed:
    """Keep what stands between the lines "=== REWRITE ===" and "=== END ===" (or the end)."""
    start = REWRITE.search(answer)
    if not start:
        return Parsed(answer, answer, "prefix_missing", 'no line "=== REWRITE ==="')
    text = END.split(answer[start.end() :], maxsplit=1)[0].strip()
    return Parsed(text, text)


PARSERS: dict[str, Parser] = {
    parser.__name__: parser for parser in (plain, prose, pairs, sampled_pairs, problem, table, bullets, markers)
}


def _unparsable(answer: str, detail: str) -> Parsed:
    return Parsed(answer, answer, "unparsable", detail)


def _pairs(answer: str) -> list[tuple[str, str]]:
    found, question = [], ""
    labels = list(LABEL.finditer(answer))
    ends = [*(label.start() for label in labels), len(answer)][1:]
    for label, end in zip(labels, ends, strict=True):
        body = answer[label.end() : end].strip().strip("*").strip()
        if label[1]:
            question = body
        elif question and body:
            found.append((question, body))
            question = ""
    return found


def _join(found: list[tuple[str, str]]) -> str:
    return "\n\n".join(f"Question: {question}\nAnswer: {answer}" for question, answer in found)
