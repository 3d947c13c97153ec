"""The turns of a chat, in the forms in which records have them.

A list of turns is a list of objects (OpenAI's `messages`, ShareGPT's `conversations`), the JSON of one, or (as Arrow's
structs have it) an object of lists, one for each field.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

ROLES = {
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(
        ("assistant", "gpt", "chatgpt", "bing", "bard", "model", "function_call", "tool_call"), "assistant"
    ),
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("tool", "function", "observation", "tool_response"), "tool"),
}
REASONING = ("reasoning_content", "thinking", "reasoning")  # fields with what was thought before a turn
CALLS = ("tool_calls", "function_call")  # fields with the calls of tools; the other is OpenAI's older one, of one call
CALLED = ("name", "tool_call_id")  # fields that say whose call a tool answers
FLAGS = ("weight", "train", "trainable", "loss")  # fields that say of a turn whether it is learned


@dataclass(frozen=True)
class Turn:
    """What one side said: `role` is user, assistant, system or tool (what a tool gave back).

    `reasoning` is what the assistant thought before that, `calls` its calls of tools (JSON, as OpenAI's `tool_calls`), `name`
    and `call_id` say whose call a tool answers. `learned` is the record's own word on whether this turn is learned (`weight`,
    `train`); null where it says nothing. `place` names it for people, as the record has it: turn 3 of messages, output.
    """

    role: str
    content: str
    reasoning: str = ""
    calls: str = ""
    name: str = ""
    call_id: str = ""
    learned: bool | None = None
    place: str = field(default="", compare=False)

    @property
    def says(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.content.strip() or self.calls)


class NoExample(ValueError):
    """A record holds nothing to learn from: `reason` is one word, `detail` says more."""

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def read_turns(value: object, column: str, unused: set[str]) -> list[Turn]:
    """Read a list of turns; what of a turn has no use is named in `unused`.

    Raises NoExample: bad_turns, tool_calls, not_text, invalid_utf8.
    """
    return [_turn(turn, column, place, unused) for place, turn in enumerate(listed(value, column), 1)]


def listed(value: object, column: str) -> list[dict]:
    """Give the objects of a list in any of its forms. Raises NoExample (bad_turns) for something else."""
    if isinstance(value, str):
        value = parsed(value)
    if isinstance(value, dict):
        value = _of_lists(value)
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise NoExample("bad_turns", f"{column} is no list of turns")
    return value


def parsed(text: str) -> Any:
    """Read JSON; None where it is none."""
    found = plain(text)
    return None if isinstance(found, str) else found


def plain(value: Any) -> Any:
    """Give what the JSON of a text says, a NaN in it as null; the text itself, stripped, where it is none."""
    if not isinstance(value, str):
        return value
    try:
        return without_nan(json.loads(value))
    except (ValueError, RecursionError):
        return value.strip()


def text_of(value: object, name: str) -> str:
    """Give a text as it is, nothing for null. Raises NoExample: not_text, invalid_utf8."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise NoExample("not_text", f"{name} holds {type(value).__name__}, not text")
    try:
        value.isascii() or value.encode()
    except UnicodeEncodeError as error:
        raise NoExample("invalid_utf8", f"{name} holds half a surrogate pair, at character {error.start}") from error
    return value


def json_of(value: object, name: str) -> str:
    """Write plain values as JSON without the nulls by which Arrow fills up objects. Raises NoExample: invalid_utf8."""
    return text_of(json.dumps(without_nulls(value), ensure_ascii=False), name)


def without_nan(value: Any) -> Any:
    """Give plain values with null for NaN, as pandas writes a null, however deep it lies."""
    if isinstance(value, dict):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and value != value else value


def without_nulls(value: object) -> object:
    """Take what is null out of objects, however deep it lies."""
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def one_of(texts: Iterable[str], kind: str, unused: set[str]) -> str:
    """Give the first text that says something; where another says something else, `kind` is named in `unused`."""
    filled = [text for text in texts if text.strip()]
    unused |= {kind} if any(text != filled[0] for text in filled) else set()
    return filled[0] if filled else ""


def said_in(content: object, name: str) -> tuple[str, str]:
    """Give what a content says, a text or the parts of one, and apart what was thought. Raises NoExample."""
    return _joined(content, name) if isinstance(content, list) else (text_of(content, name), "")


def _of_lists(fields: dict) -> list[dict] | None:
    """Turn an object of lists of one length into a list of objects."""
    columns = {name: values for name, values in fields.items() if values is not None}
    if not columns or not all(isinstance(values, list) for values in columns.values()):
        return None
    if len({len(values) for values in columns.values()}) != 1:
        return None
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _turn(turn: dict, column: str, place: int, unused: set[str]) -> Turn:
    role = first(turn, ("role", "from"))
    known = ROLES.get(role.lower()) if isinstance(role, str) else None
    if known is None:
        raise NoExample("bad_turns", f"turn {place} of {column} is one of {role!r}; known are {', '.join(ROLES)}")
    name = f"turn {place} of {column}"
    said, thought = said_in(first(turn, ("content", "value")), name)
    thoughts = [*(text_of(turn.get(field), name) for field in REASONING), thought]
    reasoning, learned = one_of(thoughts, REASONING[0], unused), _learned(turn, name, unused)
    unused |= {"train_detail"} if turn.get("train_detail") else set()
    if known != "tool":
        unused |= {key for key in CALLED if turn.get(key)}
    if known == "assistant":
        return Turn(known, said, reasoning, _calls(turn, name, unused), learned=learned, place=name)
    beside = {REASONING[0]: reasoning, "weight": learned} | {key: plain(turn.get(key)) for key in CALLS}
    unused |= {kind for kind, value in beside.items() if value}
    called = [text_of(turn.get(key), name) if known == "tool" else "" for key in CALLED]
    return Turn(known, said, "", "", *called, place=name)


def first(turn: dict, names: Iterable[str]) -> Any:
    """Give the first of some fields that holds something; None where none does."""
    return next((turn[name] for name in names if turn.get(name) is not None), None)


def _joined(parts: list, name: str) -> tuple[str, str]:
    """Join the parts of what a turn says, the other form of content; gives apart what was thought."""
    said, thought = [], []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("thinking", "reasoning"):
            inner = first(part, ("thinking", "reasoning", "text"))
            thought.append(said_in(inner, name)[0])
            continue
        text = part.get("text") if isinstance(part, dict) else part
        if not isinstance(text, str):
            raise NoExample("not_text", f"{name} has a part that is no text")
        said.append(text)
    return text_of("".join(said), name), text_of("".join(thought), name)


def _calls(turn: dict, name: str, unused: set[str]) -> str:
    """Give the calls of tools in the form that chat templates read: arguments are an object."""
    calls, single = (plain(turn.get(key)) for key in CALLS)
    forms = [_read_calls(each, name) for each in (calls, [{"function": single}] if single else None)]
    return one_of(forms, CALLS[1], unused)


def _read_calls(calls: Any, name: str) -> str:
    if not calls:
        return ""
    read = [_call(call) for call in calls] if isinstance(calls, list) else [None]
    if None in read:
        raise NoExample("tool_calls", f"{name} calls tools in a form that is not known")
    return json_of(read, name)


def _call(call: object) -> dict | None:
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return None
    arguments = function.get("arguments")
    if isinstance(arguments, str) and isinstance(parsed(arguments), dict):
        arguments = parsed(arguments)
    named = {"id": call.get("id")} if isinstance(call.get("id"), str) else {}
    of_function = {"name": function["name"], "arguments": {} if arguments is None else arguments}
    return named | {"type": "function", "function": of_function}


def _learned(turn: dict, name: str, unused: set[str]) -> bool | None:
    """Give what the record says about learning a turn: the first of its flags. A weight between is taken for 1."""
    told: dict[str, bool] = {}
    for flag in FLAGS:
        value = turn.get(flag)
        if value is None or (flag == "loss" and not isinstance(value, bool)):  # a number there is a measured loss
            continue
        if not isinstance(value, bool | int | float) or value < 0:
            raise NoExample("bad_turns", f"{name} has {flag} {value!r}; it may be 0 or 1, true or false")
        unused |= {"weight"} if value not in (0, 1) else set()
        told[flag] = value > 0
    learned = next(iter(told.values()), None)
    unused |= {flag for flag, learns in told.items() if learns != learned}
    return learned
