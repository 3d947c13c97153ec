"""Where in the text that a chat template writes each turn stands.

A template is a program: it may strip what is said, take the thoughts out of earlier turns or write calls of tools in a form of
its own, so the text of a chat's beginning need not begin the text of the chat. So turns are found by changing them: with a mark
in the place of what a turn says, all is written as before but that.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from operators.examples.turns import NoExample, Turn, json_of, parsed

MARK = "\ue000{}\ue001"  # stands for what a turn says; of the private use area, so that no template knows it
MARKED = re.compile("\ue000(\\d+)\ue001")
THOUGHT = "</think>"  # ends what templates that know thoughts take out of what is said


class Place(NamedTuple):
    """The characters of a turn: what the template writes of what it thinks, says and calls."""

    begin: int
    end: int


Write = Callable[[Sequence[Turn]], str]  # writes turns by a template; raises NoExample where it refuses them


def places_of(turns: Sequence[Turn], write: Write) -> tuple[str, list[Place | None]]:
    """Write turns, and give the place of each; None for one that the template leaves out.

    Raises NoExample where the template refuses them, or changes what an answer says.
    """
    written, found = write(turns), None
    if not any(turn.calls for turn in turns):
        found = _aligned(write([_marked(turn, number) for number, turn in enumerate(turns)]), written, turns)
    return written, found or [_changed(turns, number, written, write) for number in range(len(turns))]


def _marked(turn: Turn, number: int) -> Turn:
    thought = MARK.format(2 * number + 1) if turn.reasoning else ""
    return replace(turn, content=MARK.format(2 * number), reasoning=thought, calls="")


def _aligned(form: str, written: str, turns: Sequence[Turn]) -> list[Place | None] | None:
    """Give the places in a text that is the marked one with what was said and thought, or that stripped, for the marks.

    None where it is another: then the template looks into what is said.
    """
    begin, *pairs = MARKED.split(form)
    if not written.startswith(begin):
        return None
    places: list[Place | None] = [None] * len(turns)
    at, marks = len(begin), len(pairs) // 2
    for count, (mark, after) in enumerate(zip(pairs[::2], pairs[1::2], strict=True), 1):
        number, thinks = divmod(int(mark), 2)
        text = turns[number].reasoning if thinks else turns[number].content
        said = next((each for each in _forms(text) if _follows(written, at, each, after, count == marks)), None)
        if said is None:
            return None
        begins = places[number].begin if places[number] else at
        places[number] = Place(begins, at + len(said))
        at += len(said) + len(after)
    return places


def _forms(text: str) -> tuple[str, ...]:
    return (text, *(strip(white) for white in (None, "\n") for strip in (text.strip, text.lstrip, text.rstrip)))


def _follows(written: str, at: int, form: str, after: str, last: bool) -> bool:
    end = at + len(form) + len(after)
    return (
        written.startswith(form, at) and written.startswith(after, at + len(form)) and (not last or end == len(written))
    )


def _changed(turns: Sequence[Turn], number: int, written: str, write: Write) -> Place | None:
    """Find a turn by what is written differently where it says something else."""
    for other in _others(turns[number], number):
        try:
            text = write([*turns[:number], other, *turns[number + 1 :]])
        except NoExample:
            continue  # a call that a later turn answers cannot be taken out
        if MARKED.search(text):
            begin = _alike(written, text)
            place = Place(begin, len(written) - _alike(written[begin:][::-1], text[begin:][::-1]))
            _check(turns[number], written[slice(*place)])
            return place
    return None


def _others(turn: Turn, number: int) -> Iterator[Turn]:
    """Give a turn with marks for what it says; and one that calls tools with a mark for their names."""
    yield _marked(turn, number)
    if turn.calls:
        calls = [
            call | {"function": call["function"] | {"name": MARK.format(2 * number)}} for call in parsed(turn.calls)
        ]
        yield replace(turn, calls=json_of(calls, "tool_calls"))


def _check(turn: Turn, written: str) -> None:
    """Raise NoExample where other words are written than an answer says; its thoughts may be left out."""
    said = "".join(turn.content.rpartition(THOUGHT)[2].split())
    if turn.role == "assistant" and said not in "".join(written.split()):
        raise NoExample("chat_template", f"the model's chat template changes what turn {turn.place} says")


def _alike(one: str, other: str) -> int:
    """Count the characters with which two texts begin alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
