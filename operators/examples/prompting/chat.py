"""A model's own chat template: what it writes of a chat, and which of that the model has to write."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Any, NamedTuple

from operators.errors import BadRequest
from operators.examples.base import Example, NoExample, Turn
from operators.examples.prompting.places import MARK, MARKED, Place, alike, marked_calls, places_of
from operators.examples.prompting.templates import Segment, up_to_the_last_answer
from operators.examples.turns import REASONING
from operators.text.tokenizer import small_file

OTHERS = "alpaca, human, plain or tulu"
DATE = "26 Jul 2024"  # what templates that write today's date are told, so that a run resumed tomorrow reads the same
NOTHING = re.compile(r"(?!)")


class Form(NamedTuple):
    """What a template wants messages to look like: content as a list of parts, what tools are called with as JSON in a string, no
    content (null) where there is nothing said beside a call.
    """

    parts: bool = False
    json: bool = False
    null: bool = False


class Chat:
    """Frames turns as `apply_chat_template` of transformers does, for the tokenizer called `name`.

    An answer is what the model has to write once it was prompted for one: all that stands between the template's prompt for an
    answer and its end. What is thought, said and called there is the answer; the words around it count where its end does.
    `special` finds what is written like a special token.
    Raises BadRequest where the tokenizer has no chat template.
    """

    def __init__(self, name: str, special: re.Pattern = NOTHING):
        self.template, self.tokens = _template_of(name)
        self.special, self.form = special, Form()
        self.thinks = next((field for field in REASONING if re.search(rf"\b{field}\b", self.template)), None)
        try:
            self._learn_form()
            self.label, self.prompts = self._before()
            self.closings = self._after()
        except NoExample as refusal:
            raise BadRequest(f"{name}: {refusal.detail}. Choose another template: {OTHERS}.") from refusal

    @property
    def digest(self) -> str:
        """Digest the template and the special tokens that it may write."""
        return blake2b(json.dumps([self.template, self.tokens]).encode(), digest_size=16).hexdigest()

    def framed(self, example: Example, turns: str) -> list[Segment]:
        text, told, places, _ = self._written(example)
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
        text, told, _, form = self._written(example)
        found = {"tools"} if example.tools and self._accepted(told, "", form) == text else set()
        for number, turn in enumerate(told):
            for name, field in (("reasoning_content", "reasoning"), ("tool_calls", "calls"), ("content", "content")):
                less = replace(turn, **{field: ""})
                others = [*told[:number], less, *told[number + 1 :]]
                if less != turn and self._accepted(others, example.tools, form) == text:
                    found.add(name)
        return found

    def _written(self, example: Example) -> tuple[str, tuple[Turn, ...], list[Place | None], Form]:
        """Give the text of an example, its turns as they were told, their places, and the form they are written in."""
        names = (field for turn in example.turns for field in (turn.calls, turn.name, turn.call_id))
        if any(self.special.search(text) for text in (example.tools, *names)):
            raise NoExample("chat_template", "its tools or calls have what is written like a special token")
        told, why = example.turns, None
        form = self._form_for(told, example.tools)
        try:
            text, places = places_of(told, partial(self._write, tools=example.tools, form=form))
            if told[0].role != "system" or places[0]:
                return text, told, places, form
        except _Refused as refusal:
            why = refusal
        if [turn.role for turn in told[:2]] != ["system", "user"]:
            if why:
                raise why
            return text, told, places, form
        # Some families (Gemma, the first Mistral-Instruct) have no system turn: there it opens the user's.
        told = (replace(told[1], content=f"{told[0].content}\n\n{told[1].content}"), *told[2:])
        form = self._form_for(told, example.tools)
        text, places = places_of(told, partial(self._write, tools=example.tools, form=form))
        return text, told, places, form

    def _form_for(self, turns: Sequence[Turn], tools: str) -> Form:
        """Give the first form in which the template writes all calls, else the first that it does not refuse."""
        calling = [number for number, turn in enumerate(turns) if turn.calls]
        if not calling:
            return self.form
        told = [marked_calls(turn, number) if turn.calls else turn for number, turn in enumerate(turns)]
        forms = [self.form._replace(json=as_json, null=null) for as_json in (False, True) for null in (False, True)]
        written = {form: text for form in forms if (text := self._accepted(told, tools, form)) is not None}
        whole = (form for form, text in written.items() if all(MARK.format(2 * number) in text for number in calling))
        return next(whole, next(iter(written), self.form))

    def _segments(
        self, text: str, told: Sequence[Turn], places: Sequence[Place], learned: Sequence[bool]
    ) -> Iterator[Segment]:
        """Cut the text of a chat into what is read and what is learned."""
        at = 0
        written = sorted(zip(places, told, learned, strict=True), key=lambda each: each[0])
        begins = [*(place.begin for place, _, _ in written[1:]), len(text)]
        for (place, turn, learns), following in zip(written, begins, strict=True):
            if place.begin < at or self._outside(text, place.end) > following:
                raise NoExample("chat_template", f"the model's chat template changes with what turn {turn.place} says")
            begin = self._prompted(text, at, place.begin) if learns else place.begin
            end = self._call_ends(text, place.end, following, turn) if place.cut else self._outside(text, place.end)
            yield Segment(text[at:begin], markup=True)
            yield Segment(text[begin : place.begin], markup=True, opens=learns)
            forged = self.special.search(turn.content) or self.special.search(turn.reasoning)
            yield Segment(text[place.begin : end], markup=not forged, answer=learns)
            at = end
            closing = next((each for each in self.closings if text.startswith(each, at)), "")
            if learns and closing:
                yield Segment(closing, markup=True, closes=True)
                at += len(closing)

    def _prompted(self, text: str, begin: int, end: int) -> int:
        """Give where, between two turns, the template's prompt for an answer ends: what follows it is the model's."""
        gap = text[begin:end]
        ends = (begin + gap.rfind(prompt) + len(prompt) for prompt in self.prompts if prompt in gap)
        return next(ends, end)

    def _call_ends(self, text: str, begin: int, end: int, turn: Turn) -> int:
        """Give where the calls of a turn end: before the end of an answer, or after the special token that ends a call."""
        closes = [place for closing in self.closings if (place := text.find(closing, begin, end)) >= 0]
        token = self.special.search(text, begin, end)
        if not closes and not token:
            raise NoExample(
                "chat_template", f"what ends the calls of turn {turn.place} cannot be told from what follows"
            )
        return min(closes) if closes else token.end()

    def _outside(self, text: str, at: int) -> int:
        """Give the end of the special token that would be cut at a place, else the place."""
        return next((token.end() for token in self.special.finditer(text) if token.start() < at < token.end()), at)

    def _learn_form(self) -> None:
        """Find out whether content is a list of parts: templates of models that see write nothing of a text."""
        try:
            if MARKED.search(self._sample("user")):
                return
        except _Refused:
            pass
        self.form = Form(parts=True)
        if not MARKED.search(self._sample("user")):
            raise NoExample("chat_template", "the model's chat template writes nothing of what a user says")

    def _before(self) -> tuple[str, list[str]]:
        """Give what the template writes before an answer (its prompt for one, else all after the question), and what of its
        prompt may stand before answers, the longest first.
        """
        bare, asking = (self._sample("user", add_generation_prompt=ask) for ask in (False, True))
        between = next(iter(self._gaps("user", "assistant")), "")
        prompt = asking[self._whole_tokens(asking, alike(bare, asking)) :]
        if not prompt:
            return between, []
        # Before an earlier answer some write less of it: the beginning of a thought is left out there, as the thought is.
        gaps = (between, *self._gaps("user", "assistant", "user", "assistant")[:1])
        known = {prompt[: _overlap(prompt, gap)] for gap in gaps} | {prompt}
        return prompt, sorted(filter(None, known), key=len, reverse=True)

    def _after(self) -> list[str]:
        """Give what the template may write after an answer, the longest first: after the last one, and after earlier ones."""
        last = MARKED.split(self._sample("user", "assistant"))[-1].rstrip()
        gaps = self._gaps("user", "assistant", "user", "assistant")[1:2]
        earlier = [gap[: self._whole_tokens(gap, alike(last, gap))].rstrip() for gap in gaps]
        others = [token.group() for gap in gaps if last and (token := self.special.match(gap))]
        return sorted(filter(None, {last, *(earlier if any(earlier) else others)}), key=len, reverse=True)

    def _whole_tokens(self, text: str, end: int) -> int:
        """Give the end of a text's beginning, or the begin of the special token that would be cut there."""
        cut = (token.start() for token in self.special.finditer(text) if token.start() < end < token.end())
        return next(cut, end)

    def _sample(self, *roles: str, add_generation_prompt: bool = False) -> str:
        turns = [Turn(role, MARK.format(number)) for number, role in enumerate(roles)]
        return self._rendered([self._message(turn, self.form) for turn in turns], add_generation_prompt)

    def _gaps(self, *roles: str) -> list[str]:
        """Give what stands between the turns of a sample; nothing for more rounds than a template allows."""
        try:
            return MARKED.split(self._sample(*roles))[2:-1:2]
        except _Refused:
            if len(roles) > 2:
                return []
            raise

    def _write(self, turns: Sequence[Turn], tools: str, form: Form) -> str:
        messages = [self._message(turn, form) for turn in turns]
        return self._rendered(messages, tools=json.loads(tools) if tools else None)

    def _accepted(self, turns: Sequence[Turn], tools: str, form: Form) -> str | None:
        """Write turns; null where the template refuses them."""
        try:
            return self._write(turns, tools, form)
        except _Refused:
            return None

    def _message(self, turn: Turn, form: Form) -> dict[str, Any]:
        """Give a turn in the form that the template reads."""
        calls = json.loads(turn.calls or "[]")
        if form.json:
            for call in calls:
                call["function"]["arguments"] = json.dumps(call["function"]["arguments"], ensure_ascii=False)
        content: Any = [{"type": "text", "text": turn.content}] if form.parts else turn.content
        if form.null and calls and not turn.content:
            content = None
        given = {"tool_calls": calls, "name": turn.name, "tool_call_id": turn.call_id}
        if self.thinks:
            given[self.thinks] = turn.reasoning
        return {"role": turn.role, "content": content} | {key: value for key, value in given.items() if value}

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
