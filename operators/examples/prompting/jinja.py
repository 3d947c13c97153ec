"""A chat template as what it is, a program: turns in, text out; and what is learned of it by trying it out."""

import json
import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from operators.errors import BadRequest
from operators.examples.prompting.places import MARK, MARKED, alike, marked_calls
from operators.examples.turns import REASONING, NoExample, Turn
from operators.text.tokenizer import small_file

OTHERS = "alpaca, human, plain or tulu"
DATE = "26 Jul 2024"  # what templates that write today's date are told, so that a run resumed tomorrow reads the same


class Form(NamedTuple):
    """What a template wants messages to look like: content as a list of parts, what tools are called with as JSON in a string, no
    content (null) where there is nothing said beside a call.
    """

    parts: bool = False
    json: bool = False
    null: bool = False


class Refused(NoExample):
    """The template raised: it does not know this order of roles, or this form of a message."""


class ChatTemplate:
    """The chat template of the tokenizer called `name`, rendered as `apply_chat_template` of transformers does.

    `label` is what it writes before an answer: its prompt for one, else all after the question. `prompts` is what of its prompt
    may stand before answers, `closings` what it may write after them, the longest first. `special` finds special tokens.
    Raises BadRequest where the tokenizer has no chat template.
    """

    def __init__(self, name: str, special: re.Pattern):
        self.source, self.tokens = _template_of(name)
        self.special, self.form = special, Form()
        self.thinks = next((field for field in REASONING if re.search(rf"\b{field}\b", self.source)), None)
        try:
            self._learn_form()
            self.label, self.prompts = self._before()
            self.closings = self._after()
        except NoExample as refusal:
            raise BadRequest(f"{name}: {refusal.detail}. Choose another template: {OTHERS}.") from refusal

    @property
    def digest(self) -> str:
        """Digest the template and the special tokens that it may write."""
        return blake2b(json.dumps([self.source, self.tokens]).encode(), digest_size=16).hexdigest()

    def write(self, turns: Sequence[Turn], tools: str, form: Form) -> str:
        """Write turns. Raises Refused."""
        messages = [self._message(turn, form) for turn in turns]
        return self._rendered(messages, tools=json.loads(tools) if tools else None)

    def accepted(self, turns: Sequence[Turn], tools: str, form: Form) -> str | None:
        """Write turns; null where the template refuses them."""
        try:
            return self.write(turns, tools, form)
        except Refused:
            return None

    def form_for(self, turns: Sequence[Turn], tools: str) -> Form:
        """Give the first form in which the template writes all calls, else the first that it does not refuse."""
        calling = [number for number, turn in enumerate(turns) if turn.calls]
        if not calling:
            return self.form
        told = [marked_calls(turn, number) if turn.calls else turn for number, turn in enumerate(turns)]
        forms = [self.form._replace(json=as_json, null=null) for as_json in (False, True) for null in (False, True)]
        written = {form: text for form in forms if (text := self.accepted(told, tools, form)) is not None}
        whole = (form for form, text in written.items() if all(MARK.format(2 * number) in text for number in calling))
        return next(whole, next(iter(written), self.form))

    def _learn_form(self) -> None:
        """Find out whether content is a list of parts: templates of models that see write nothing of a text."""
        try:
            if MARKED.search(self._sample("user")):
                return
        except Refused:
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
        except Refused:
            if len(roles) > 2:
                return []
            raise

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
                [messages], tools, chat_template=self.source, add_generation_prompt=add_generation_prompt, **how
            )
        except (TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise Refused("chat_template", f"the model's chat template says: {error}") from error
        return rendered[0][0]


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
