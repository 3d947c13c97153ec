"""A model's own chat template: what it writes of a chat, and which of that the model has to write."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Any

from operators.errors import BadRequest
from operators.examples.base import Example, NoExample, Turn
from operators.examples.prompting.places import MARK, MARKED, Place, places_of
from operators.examples.prompting.templates import Segment, up_to_the_last_answer
from operators.examples.turns import REASONING
from operators.text.tokenizer import small_file

OTHERS = "alpaca, human, plain or tulu"
DATE = "26 Jul 2024"  # what templates that write today's date are told, so that a run resumed tomorrow reads the same
NOTHING = re.compile(r"(?!)")


class Chat:
    """Frames turns as `apply_chat_template` of transformers does, for the tokenizer called `name`.

    An answer is what the model has to write once it was prompted for one: all that stands between the template's prompt for an
    answer and its end. What is thought, said and called there is the answer; the words around it count where its end does.
    `special` finds what is written like a special token.
    Raises BadRequest where the tokenizer has no chat template.
    """

    def __init__(self, name: str, special: re.Pattern = NOTHING):
        self.template, self.tokens = _template_of(name)
        self.special = special
        self.thinks = next((field for field in REASONING if re.search(rf"\b{field}\b", self.template)), None)
        try:
            self.label, self.closing, self.prompts = self._around()
        except NoExample as refusal:
            raise BadRequest(f"{name}: {refusal.detail}. Choose another template: {OTHERS}.") from refusal

    @property
    def digest(self) -> str:
        """Digest the template and the special tokens that it may write."""
        return blake2b(json.dumps([self.template, self.tokens]).encode(), digest_size=16).hexdigest()

    def framed(self, example: Example, turns: str) -> list[Segment]:
        text, told, places = self._written(example)
        for turn, place in zip(told, places, strict=True):
            if place is None:
                whose = "the last answer" if turn is told[-1] else f"what the {turn.role} says"
                raise NoExample("chat_template", f"the model's chat template leaves out {whose} (turn {turn.place})")
            if turn.calls and place.begin == place.end:
                raise NoExample(
                    "tool_calls", f"the model's chat template has no place for the calls of turn {turn.place}"
                )
        learned = replace(example, turns=told).learned(turns)
        return up_to_the_last_answer(
            [segment for segment in self._segments(text, told, places, learned) if segment.text]
        )

    def direct(self, example: Example, turns: str) -> list[Segment]:
        found, before = [], Segment("", markup=True)
        for segment in self.framed(example, turns):
            if segment.opens or (segment.answer and not before.opens):
                found.append(Segment(self.label, markup=True))
            if segment.opens or segment.answer or segment.closes:
                found.append(segment)
            before = segment
        return found

    def unplaced(self, example: Example) -> set[str]:
        if not example.carried & {"reasoning_content", "tool_calls", "tools"}:
            return set()
        text, told, _ = self._written(example)
        found = {"tools"} if example.tools and self._without(told, "") == text else set()
        for number, turn in enumerate(told):
            for name, field in (("reasoning_content", "reasoning"), ("tool_calls", "calls")):
                less = replace(turn, **{field: ""})
                if less != turn and self._without([*told[:number], less, *told[number + 1 :]], example.tools) == text:
                    found.add(name)
        return found

    def _without(self, turns: Sequence[Turn], tools: str) -> str | None:
        """Write turns from which something was taken; null where the template refuses them then."""
        try:
            return self._write(turns, tools)
        except _Refused:
            return None

    def _written(self, example: Example) -> tuple[str, tuple[Turn, ...], list[Place | None]]:
        """Give the text of an example, its turns as they were told, and their places."""
        if self.special.search(example.tools):
            raise NoExample("chat_template", "its tools have what is written like a special token")
        write = partial(self._write, tools=example.tools)
        told, why = example.turns, None
        try:
            text, places = places_of(told, write)
            if told[0].role != "system" or places[0]:
                return text, told, places
        except _Refused as refusal:
            why = refusal
        if [turn.role for turn in told[:2]] != ["system", "user"]:
            if why:
                raise why
            return text, told, places
        # Some families (Gemma, the first Mistral-Instruct) have no system turn: there it opens the user's.
        told = (replace(told[1], content=f"{told[0].content}\n\n{told[1].content}"), *told[2:])
        text, places = places_of(told, write)
        return text, told, places

    def _segments(
        self, text: str, told: Sequence[Turn], places: Sequence[Place], learned: Sequence[bool]
    ) -> Iterator[Segment]:
        """Cut the text of a chat into what is read and what is learned."""
        at = 0
        written = sorted(zip(places, told, learned, strict=True), key=lambda each: each[0])
        begins = [*(place.begin for place, _, _ in written[1:]), len(text)]
        for (place, turn, learns), following in zip(written, begins, strict=True):
            if place.begin < at or place.end > following:
                raise NoExample("chat_template", f"the model's chat template changes with what turn {turn.place} says")
            begin = self._prompted(text, at, place.begin) if learns else place.begin
            end = self._whole(text, place, following) if turn.calls else place.end
            yield Segment(text[at:begin], markup=True)
            yield Segment(text[begin : place.begin], markup=True, opens=learns)
            forged = any(self.special.search(each) for each in (turn.content, turn.reasoning, turn.calls))
            yield Segment(text[place.begin : end], markup=not forged, answer=learns)
            at = end
            if learns and self.closing and text.startswith(self.closing, at):
                yield Segment(self.closing, markup=True, closes=True)
                at += len(self.closing)

    def _prompted(self, text: str, begin: int, end: int) -> int:
        """Give where, between two turns, the template's prompt for an answer ends: what follows it is the model's."""
        gap = text[begin:end]
        ends = (begin + gap.rfind(prompt) + len(prompt) for prompt in self.prompts if prompt in gap)
        return next(ends, end)

    def _whole(self, text: str, place: Place, following: int) -> int:
        """Give the end of a turn that calls tools, with the words that stand around any call: they did not differ."""
        closes = text.find(self.closing, place.end, following) if self.closing else -1
        if closes >= 0:
            return closes
        cut = (token.end() for token in self.special.finditer(text) if token.start() < place.end < token.end())
        return next(cut, place.end)

    def _around(self) -> tuple[str, str, list[str]]:
        """Give what the template writes before an answer (its prompt for one, else all after the question), after it, and what
        may stand of its prompt before answers, the longest first.
        """
        asked, answered = ({"role": role, "content": MARK.format(n)} for n, role in enumerate(("user", "assistant")))
        bare, asking = (self._rendered([asked], add_generation_prompt=ask) for ask in (False, True))
        *_, between, _, after = MARKED.split(self._rendered([asked, answered]))
        if asking == bare or not asking.startswith(bare):
            return between, after.rstrip(), []
        prompt = asking.removeprefix(bare)
        # Before an earlier answer some write less of it: the beginning of a thought is left out there, as the thought is.
        earlier = MARKED.split(self._rendered([asked, answered] * 2))[2:3]
        known = {prompt[: _overlap(prompt, gap)] for gap in (between, *earlier)} | {prompt}
        return prompt, after.rstrip(), sorted(filter(None, known), key=len, reverse=True)

    def _write(self, turns: Sequence[Turn], tools: str) -> str:
        return self._rendered(self._messages(turns), tools=json.loads(tools) if tools else None)

    def _messages(self, turns: Sequence[Turn]) -> list[dict[str, Any]]:
        """Give turns in the form that templates read."""
        return [self._message(turn) for turn in turns]

    def _message(self, turn: Turn) -> dict[str, Any]:
        given = {"tool_calls": json.loads(turn.calls or "null"), "name": turn.name, "tool_call_id": turn.call_id}
        if self.thinks:
            given[self.thinks] = turn.reasoning
        return {"role": turn.role, "content": turn.content} | {key: value for key, value in given.items() if value}

    def _rendered(self, messages: list[dict], add_generation_prompt: bool = False, tools: list | None = None) -> str:
        from jinja2 import TemplateError
        from transformers.utils.chat_template_utils import render_jinja_template

        how = self.tokens | {"strftime_now": lambda form: DATE}
        try:
            rendered = render_jinja_template(
                [messages], tools, chat_template=self.template, add_generation_prompt=add_generation_prompt, **how
            )
        except (TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise _Refused("chat_template", f"the model's chat template says: {error}") from error
        return rendered[0][0]


class _Refused(NoExample):
    """The template raised: it does not know this order of roles."""


def _overlap(prompt: str, gap: str) -> int:
    """Count how much of a prompt for an answer stands somewhere in what is written between two turns."""
    return next((size for size in range(len(prompt), 0, -1) if prompt[:size] in gap), 0)


def _template_of(name: str) -> tuple[str, dict[str, str]]:
    """Find a tokenizer's chat template and the special tokens that it may write. Raises BadRequest where there is none."""
    file = small_file(name, "tokenizer_config.json")
    config = json.loads(file.read_text(encoding="utf-8")) if file else {}
    alone = small_file(name, "chat_template.jinja")
    template = alone.read_text(encoding="utf-8") if alone else config.get("chat_template")
    if isinstance(template, list):
        template = {each["name"]: each["template"] for each in template}.get("default")
    if not template:
        raise BadRequest(f"{name} has no chat template. Choose another template: {OTHERS}.")
    tokens = {key: _content(config.get(key)) for key in ("bos_token", "eos_token", "unk_token", "pad_token")}
    return template, {key: token for key, token in tokens.items() if token}


def _content(token: dict | str | None) -> str | None:
    return token["content"] if isinstance(token, dict) else token
