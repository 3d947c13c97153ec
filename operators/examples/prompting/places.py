"""Where in the text that a chat template writes each turn stands.

A template is a program: it may strip what is said, take the thoughts out of earlier turns or write calls of tools in a form of
its own, so the text of a chat's beginning need not begin the text of the chat. So turns are found by changing them: with a mark
in the place of what a turn says, all is written as before but that.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from operators.examples.turns import NoExample, Turn, json_of, parsed

MARK = "\ue000{}\ue001"  # stands for what a turn says; of the private use area, so that no template knows it
MARKED = re.compile("\ue000(\\d+)\ue001")
THOUGHT = "</think>"  # ends what templates that know thoughts take out of what is said


class Place(NamedTuple):
    """The characters of a turn: what the template writes of what it thinks, says and calls. With `cut` it ends inside of a call,
    somewhere before the words that stand around any call.
    """

    begin: int
    end: int
    cut: bool = False


Write = Callable[[Sequence[Turn]], str]  # writes turns by a template; raises NoExample where it refuses them


def places_of(turns: Sequence[Turn], write: Write) -> tuple[str, list[Place | None]]:
    """Write turns, and give the place of each; None for one that the template leaves out.

    Raises NoExample where the template refuses them, or changes what an answer says.
    """
    written, found = write(turns), None
    if not any(turn.calls for turn in turns):
        found = _aligned(write([_marked(turn, number) for number, turn in enumerate(turns)]), written, turns)
    return written, found or [_found(turns, number, written, write) for number in range(len(turns))]


def _marked(turn: Turn, number: int) -> Turn:
    thought = MARK.format(2 * number + 1) if turn.reasoning else ""
    return replace(turn, content=MARK.format(2 * number), reasoning=thought)


def marked_calls(turn: Turn, number: int) -> Turn:
    """Put marks for what tools are called with. Other names would change what is written of their answers."""
    mark = MARK.format(2 * number)

    def marked(call: dict) -> dict:
        arguments = call["function"]["arguments"]
        other = dict.fromkeys(arguments or (mark,), mark) if isinstance(arguments, dict) else mark
        return call | {"function": call["function"] | {"arguments": other}}

    return replace(turn, calls=json_of([marked(call) for call in parsed(turn.calls)], "tool_calls"))


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


def _found(turns: Sequence[Turn], number: int, written: str, write: Write) -> Place | None:
    """Find a turn by what is written differently where it says, or calls, something else."""
    turn = turns[number]
    said = _changed(turns, number, _marked(turn, number), written, write)
    calls = _changed(turns, number, marked_calls(turn, number), written, write) if turn.calls else None
    if not calls:
        if said:
            _check(turn, written[said.begin : said.end])
        return said
    begin = min(said.begin, calls.begin) if said else calls.begin
    if said and turn.content.strip() and said.end > calls.end:
        return Place(begin, said.end)
    return Place(begin, calls.end, cut=True)


def _changed(turns: Sequence[Turn], number: int, other: Turn, written: str, write: Write) -> Place | None:
    try:
        text = write([*turns[:number], other, *turns[number + 1 :]])
    except NoExample:
        return None
    if not MARKED.search(text):
        return None
    begin = alike(written, text)
    return Place(begin, len(written) - alike(written[begin:][::-1], text[begin:][::-1]))


def _check(turn: Turn, written: str) -> None:
    """Raise NoExample where other words are written than an answer says; its thoughts may be left out."""
    said = "".join(turn.content.rpartition(THOUGHT)[2].split())
    if turn.role == "assistant" and said not in "".join(written.split()):
        raise NoExample("chat_template", f"the model's chat template changes what {turn.place} says")


def alike(one: str, other: str) -> int:
    """Count the characters with which two texts begin alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
