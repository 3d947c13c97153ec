"""A model's own chat template: what it writes of a chat, and which of that the model has to write."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from operators.examples.base import Example, NoExample, Turn
from operators.examples.prompting.jinja import ChatTemplate, Form, Refused
from operators.examples.prompting.places import THOUGHT, Place, places_of
from operators.examples.prompting.templates import Segment, up_to_the_last_answer

NOTHING = re.compile(r"(?!)")
LONGEST = 100  # characters of a special token
FIELDS = {
    "reasoning_content": "reasoning",
    "tool_calls": "calls",
    "content": "content",
}  # of a turn, that may be left out


class Chat:
    """Frames turns as `apply_chat_template` of transformers does, for the tokenizer called `name`.

    An answer is what the model has to write once it was prompted for one: all that stands between the template's prompt for an
    answer and its end. What is thought, said and called there is the answer; the words around it count where its end does.
    `special` finds what is written like a special token.
    Raises BadRequest where the tokenizer has no chat template.
    """

    def __init__(self, name: str, special: re.Pattern = NOTHING):
        self.template, self.special = ChatTemplate(name, special), special

    @property
    def digest(self) -> str:
        """Digest what decides the text beside what is said."""
        return self.template.digest

    def framed(self, example: Example, turns: str) -> list[Segment]:
        text, told, places, _ = self._written(example)
        for turn, place in zip(told, places, strict=True):
            if place is None:
                whose = "the last answer" if turn is told[-1] else f"what the {turn.role} says"
                raise NoExample("chat_template", f"the model's chat template leaves out {whose} ({turn.place})")
            if turn.calls and place.begin == place.end:
                raise NoExample("tool_calls", f"the model's chat template has no place for the calls of {turn.place}")
        learned = replace(example, turns=told).learned(turns)
        return up_to_the_last_answer(
            [segment for segment in self._segments(text, told, places, learned) if segment.text]
        )

    def direct(self, example: Example, turns: str) -> list[Segment]:
        found, before = [], Segment("", markup=True)
        for segment in self.framed(example, turns):
            if segment.opens or (segment.answer and not before.opens):
                found.append(Segment(self.template.label, markup=True))
            if segment.opens or segment.answer or segment.closes:
                found.append(segment)
            before = segment
        return found

    def unplaced(self, example: Example) -> set[str]:
        thinking = any(_thinks_aloud(turn) for turn in example.turns)
        if not thinking and not example.carried & {"reasoning_content", "tool_calls", "tools"}:
            return set()
        text, told, _, form = self._written(example)
        found = {"tools"} if example.tools and self.template.accepted(told, "", form) == text else set()
        for number, turn in enumerate(told):
            without = [(name, replace(turn, **{field: ""})) for name, field in FIELDS.items()]
            if _thinks_aloud(turn):
                without.append(("reasoning_content", replace(turn, content=turn.content.rpartition(THOUGHT)[2])))
            for name, less in without:
                others = [*told[:number], less, *told[number + 1 :]]
                if less != turn and self.template.accepted(others, example.tools, form) == text:
                    found.add(name)
        return found

    def _written(self, example: Example) -> tuple[str, tuple[Turn, ...], list[Place | None], Form]:
        """Give the text of an example, its turns as they were told, their places, and the form they are written in."""
        names = (field for turn in example.turns for field in (turn.calls, turn.name, turn.call_id))
        if any(self.special.search(text) for text in (example.tools, *names)):
            raise NoExample("chat_template", "its tools or calls have what is written like a special token")
        told, why = example.turns, None
        form = self.template.form_for(told, example.tools)
        try:
            text, places = places_of(told, partial(self.template.write, tools=example.tools, form=form))
            if told[0].role != "system" or places[0]:
                return text, told, places, form
        except Refused as refusal:
            why = refusal
        if [turn.role for turn in told[:2]] != ["system", "user"]:
            if why:
                raise why
            return text, told, places, form
        # Some families (Gemma, the first Mistral-Instruct) have no system turn: there it opens the user's.
        told = (replace(told[1], content=f"{told[0].content}\n\n{told[1].content}"), *told[2:])
        form = self.template.form_for(told, example.tools)
        text, places = places_of(told, partial(self.template.write, tools=example.tools, form=form))
        return text, told, places, form

    def _segments(
        self, text: str, told: Sequence[Turn], places: Sequence[Place], learned: Sequence[bool]
    ) -> Iterator[Segment]:
        """Cut the text of a chat into what is read and what is learned."""
        at = 0
        written = sorted(zip(places, told, learned, strict=True), key=lambda each: each[0])
        begins = [*(place.begin for place, _, _ in written[1:]), len(text)]
        for (place, turn, learns), following in zip(written, begins, strict=True):
            if place.begin < at or self._outside(text, place.end) > following:
                raise NoExample("chat_template", f"the model's chat template changes with what {turn.place} says")
            begin = self._prompted(text, at, place.begin) if learns else place.begin
            end = self._call_ends(text, place.end, following, turn) if place.cut else self._outside(text, place.end)
            yield Segment(text[at:begin], markup=True)
            yield Segment(text[begin : place.begin], markup=True, opens=learns)
            forged = self.special.search(turn.content) or self.special.search(turn.reasoning)
            yield Segment(text[place.begin : end], markup=not forged, answer=learns)
            at = end
            closing = next((each for each in self.template.closings if text.startswith(each, at)), "")
            if learns and closing:
                yield Segment(closing, markup=True, closes=True)
                at += len(closing)

    def _prompted(self, text: str, begin: int, end: int) -> int:
        """Give where, between two turns, the template's prompt for an answer ends: what follows it is the model's."""
        gap = text[begin:end]
        ends = (begin + gap.rfind(prompt) + len(prompt) for prompt in self.template.prompts if prompt in gap)
        return next(ends, end)

    def _call_ends(self, text: str, begin: int, end: int, turn: Turn) -> int:
        """Give where the calls of a turn end: before the end of an answer, or after the special token that ends a call."""
        closes = [place for closing in self.template.closings if (place := text.find(closing, begin, end)) >= 0]
        token = self.special.search(text, begin, end)
        if not closes and not token:
            raise NoExample("chat_template", f"what ends the calls of {turn.place} cannot be told from what follows")
        return min(closes) if closes else token.end()

    def _outside(self, text: str, at: int) -> int:
        """Give the end of the special token that would be cut at a place, else the place."""
        near = self.special.finditer(text, max(0, at - LONGEST), at + LONGEST)
        return next((token.end() for token in near if token.start() < at < token.end()), at)


def _thinks_aloud(turn: Turn) -> bool:
    """Tell whether an answer has thoughts among what it says."""
    thought = turn.content.rpartition(THOUGHT)[0] if turn.role == "assistant" else ""
    return bool(thought.strip().removeprefix("<think>").strip())
