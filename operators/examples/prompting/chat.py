"""A model's own chat template, with the places of what is said in the text that it writes."""

import json
import re
from collections.abc import Iterator
from hashlib import blake2b
from itertools import pairwise

from operators.errors import BadRequest
from operators.examples.base import Example, NoExample, Turn
from operators.examples.prompting.templates import Segment, said
from operators.text.tokenizer import small_file

MARK = "\ue000{}\ue001"  # stands for what a turn says; of the private use area, so that no template knows it
MARKED = re.compile("\ue000(\\d+)\ue001")
OTHERS = "alpaca, human, plain or tulu"
DATE = "26 Jul 2024"  # what templates that write today's date are told, so that a run resumed tomorrow reads the same


class Chat:
    """Frames turns as `apply_chat_template` of transformers does, for the tokenizer called `name`.

    The text is rendered twice, once with marks in place of what is said: so each turn's place is known, however often its
    words stand elsewhere. Raises BadRequest where the tokenizer has no chat template.
    """

    def __init__(self, name: str):
        self.template, self.tokens = _template_of(name)
        try:
            self.label, self.closing = self._around()
        except NoExample as refusal:
            raise BadRequest(f"{name}: {refusal.detail}. Choose another template: {OTHERS}.") from refusal

    @property
    def digest(self) -> str:
        """Digest the template and the special tokens that it may write."""
        return blake2b(json.dumps([self.template, self.tokens]).encode(), digest_size=16).hexdigest()

    def framed(self, example: Example, turns: str) -> list[Segment]:
        told = example.turns
        try:
            marked, written = self._both(told)
        except _Refused:
            if [turn.role for turn in told[:2]] != ["system", "user"]:
                raise
            # Some families (Gemma, the first Mistral-Instruct) have no system turn: there it opens the user's.
            told = (Turn("user", f"{told[0].content}\n\n{told[1].content}"), *told[2:])
            marked, written = self._both(told)
        segments = list(_aligned(marked, written, told, turns))
        last = max(place for place, segment in enumerate(segments) if not segment.markup)
        if not segments[last].answer:
            raise NoExample("chat_template", "the model's chat template leaves out the last answer")
        closed = list(self._closed(segments[: last + 2]))
        return [segment for segment in closed if segment.text]

    def direct(self, example: Example, turns: str) -> list[Segment]:
        found = []
        for segment in self.framed(example, turns):
            found += [Segment(self.label, markup=True)] * segment.answer + [segment] * (
                segment.answer or segment.closes
            )
        return found

    def _closed(self, segments: list[Segment]) -> Iterator[Segment]:
        """Take the end of each answer apart from the markup after it; what follows the end of the last one is left out."""
        yield segments[0]
        for number, (before, segment) in enumerate(pairwise(segments), 2):
            closes = before.answer and segment.text.startswith(self.closing)
            if closes:
                yield Segment(self.closing, markup=True, closes=True)
            rest = segment._replace(text=segment.text[len(self.closing) :]) if closes else segment
            if number < len(segments):
                yield rest

    def _both(self, told: tuple[Turn, ...]) -> tuple[str, str]:
        messages = [{"role": turn.role, "content": turn.content} for turn in told]
        marks = [message | {"content": MARK.format(number)} for number, message in enumerate(messages)]
        return self._rendered(marks), self._rendered(messages)

    def _around(self) -> tuple[str, str]:
        """Give what the template writes before an answer (its prompt for one, else all after the question) and after it."""
        question = [{"role": "user", "content": MARK.format(0)}]
        bare, asking = (self._rendered(question, add_generation_prompt=ask) for ask in (False, True))
        both = self._rendered([*question, {"role": "assistant", "content": MARK.format(1)}])
        *_, between, _, after = MARKED.split(both)
        asks = asking != bare and asking.startswith(bare)
        return asking.removeprefix(bare) if asks else between, after.rstrip()

    def _rendered(self, messages: list[dict], add_generation_prompt: bool = False) -> str:
        from jinja2 import TemplateError
        from transformers.utils.chat_template_utils import render_jinja_template

        how = self.tokens | {"strftime_now": lambda form: DATE}
        try:
            rendered = render_jinja_template(
                [messages], chat_template=self.template, add_generation_prompt=add_generation_prompt, **how
            )
        except TemplateError as error:
            raise _Refused("chat_template", f"the model's chat template says: {error}") from error
        return rendered[0][0]


class _Refused(NoExample):
    """The template raised: it does not know this order of roles."""


def _aligned(marked: str, written: str, told: tuple[Turn, ...], turns: str) -> Iterator[Segment]:
    """Yield the segments of a written text, which is the marked one with what was said (or that, stripped) for each mark."""
    begin, *pairs = MARKED.split(marked)
    if not written.startswith(begin):
        raise NoExample("chat_template", "the model's chat template changes with what is said")
    yield Segment(begin, markup=True)
    at = len(begin)
    for number, after in zip(pairs[::2], pairs[1::2], strict=True):
        turn, last = told[int(number)], int(number) == len(told) - 1
        forms = (turn.content, turn.content.strip(), turn.content.lstrip(), turn.content.rstrip())
        found = next((form for form in forms if _follows(written, at, form, after, last)), None)
        if found is None:
            raise NoExample("chat_template", f"the model's chat template changes what turn {int(number) + 1} says")
        yield said(found, turn.role, last, turns)
        yield Segment(after, markup=True)
        at += len(found) + len(after)


def _follows(written: str, at: int, form: str, after: str, last: bool) -> bool:
    end = at + len(form) + len(after)
    return (
        written.startswith(form, at) and written.startswith(after, at + len(form)) and (not last or end == len(written))
    )


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
