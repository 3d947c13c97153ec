"""The body of an answer: a completion, chat or plain, in all the forms in which servers send it."""

import json
from collections.abc import Iterator
from typing import Any

from operators.models.engines.base import Completion
from operators.models.engines.endings import CAPPED, REFUSED, TOOL_CALL, UNFINISHED, WHOLE, ending, told
from operators.models.engines.openai.protocol import (
    BROKEN_JSON,
    MOST_DETAIL,
    Fault,
    count,
    error_in,
    read_refusal,
    unpacked,
)

NO_TEXT = "no_text"
THOUGHTS = ("reasoning_content", "reasoning", "reasoning_text", "reasoning_details", "thinking", "thoughts")
TEXT_PARTS = (None, "text", "output_text")  # types of the parts of a content; all others (thinking, images) are no text
ENDS = ("finish_reason", "stop_reason", "native_finish_reason", "finish_details")  # of a choice: the first that says it
STREAM = (b"data:", b"event:", b"id:", b"retry:", b":")
ADVICE = "Raise max_tokens, or have the model think less."


def read_answer(content: bytes, max_tokens: int | None = None) -> Completion:
    """Read the body of a completion. `max_tokens` is the cap that was asked for, where the end is not told.

    Reasoning, in fields or parts of its own, is never taken for the text. An answer without a text is final: the same would come
    again. Raises Fault for what is no completion, or one that ended in a failure; ServerError for an error in its place.
    """
    try:
        body = read_body(content)
        choice = body["choices"][0]
        message = _message(choice)
        usage = body.get("usage") or {}
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
        counts = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens")), count(cached) or 0
        text, refusal = _text(message.get("content")), message.get("refusal") or _refusal(message.get("content"))
        reason = next(filter(None, (told(choice.get(name)) for name in ENDS)), None)
        thoughts = _thoughts(message)
    except BROKEN_JSON as error:
        raise Fault("bad_answer", f"the server's answer is no completion: {read_refusal(content)}") from error
    end = TOOL_CALL if not text and (message.get("tool_calls") or message.get("function_call")) else ending(reason)
    if reason is None and end == WHOLE and None not in (max_tokens, counts[1]) and counts[1] >= max_tokens:
        end = CAPPED
    if choice.get("error") and end in (WHOLE, CAPPED):
        raise Fault(UNFINISHED, _unfinished(reason, text, choice), answered=True)
    if refusal and not text:
        return Completion(None, None, *counts, error=REFUSED, detail=str(refusal)[:MOST_DETAIL])
    if end not in (WHOLE, CAPPED):
        raise Fault(end, _unfinished(reason, text, choice), answered=True)
    if text is None or (thoughts and not text.strip()):
        return Completion(None, None, *counts, error=NO_TEXT, detail=_no_text(reason, thoughts, counts[1], end))
    if not text.isascii():  # JSON can carry half a character pair, which no file can hold
        text = text.encode("utf-8", "replace").decode()
    return Completion(text, end, *counts)


def read_body(content: bytes) -> dict[str, Any]:
    """Read JSON in gzip, behind a byte order mark, in events of a stream. Raises BROKEN_JSON, ServerError, Fault."""
    content = unpacked(content)
    bare = content.removeprefix(b"\xef\xbb\xbf").lstrip()
    body = _streamed(bare) if bare.startswith(STREAM) else json.loads(content)
    if error := error_in(body):
        raise error
    return body


def _message(choice: dict[str, Any]) -> dict[str, Any]:
    """Find what a choice says: a message, a piece of one, or the text of a plain completion. Raises LookupError."""
    for name in ("message", "delta"):
        if isinstance(choice.get(name), dict):
            return choice[name]
        if isinstance(choice.get(name), str):
            return {"content": choice[name]}
    return {"content": choice["text" if "text" in choice else "content"]}


def _text(content: Any) -> str | None:
    """Join the texts of a content; None where it has none. Parts that think, refuse or show something are none."""
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [text for part in content if (text := _text(part)) is not None]
        return "".join(texts) if texts else None
    if not isinstance(content, dict) or content.get("type") not in TEXT_PARTS or content.get("thought"):
        return None
    names = ("text", "value", "content", "parts")
    return next((text for name in names if (text := _text(content.get(name))) is not None), None)


def _refusal(content: Any) -> str | None:
    parts = content if isinstance(content, list) else [content]
    return next((part["refusal"] for part in parts if isinstance(part, dict) and part.get("refusal")), None)


def _thoughts(message: dict[str, Any]) -> int:
    """Count the characters of reasoning that came beside the text, about."""
    content = message.get("content")
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    own = [part for part in parts if part.get("type") not in TEXT_PARTS or part.get("thought")]
    return sum(len(str(thought)) for thought in [*(message.get(name) for name in THOUGHTS), *own] if thought)


def _unfinished(reason: Any, text: str | None, choice: dict[str, Any]) -> str:
    error = choice.get("error")
    said = f": {read_refusal(json.dumps({'error': error}).encode())}" if error else ""
    return f"finish_reason {reason!r} after {len(text or '')} characters{said}"


def _no_text(reason: Any, thoughts: int, tokens: int | None, end: str) -> str:
    came = f"nothing but reasoning came, {thoughts} characters" if thoughts else "no text came"
    after = f" after {tokens} tokens" if tokens else ""
    return f"{came} (finish_reason {reason!r}{after})." + (f" {ADVICE}" if thoughts or end == CAPPED else "")


def _streamed(content: bytes) -> dict[str, Any]:
    """Put the events of a stream together to the answer that it would have been without one."""
    message: dict[str, Any] = {}
    said: dict[str, Any] = {}  # of the end
    usage, done = None, False
    for event in _events(content):
        done = done or event is None
        if event is None:
            continue
        if error := error_in(event):
            raise error
        usage = event.get("usage") or usage
        for choice in event.get("choices") or []:
            if choice.get("index") in (0, None):
                _add(message, _message(choice))
                said |= {name: choice[name] for name in (*ENDS, "error") if choice.get(name)}
    if not (done or said):
        raise Fault("endpoint_error", "the stream of the answer broke off")
    if not message:
        raise LookupError("no event of the stream says anything")
    return {"choices": [{"message": message, **said}], "usage": usage}


def _events(content: bytes) -> Iterator[dict[str, Any] | None]:
    """Give the events of a stream; None for the one that says that all is said."""
    for block in content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
        lines = [line.removeprefix(b"data:").strip() for line in block.split(b"\n") if line.startswith(b"data:")]
        data = b"\n".join(lines)
        if data:
            yield None if data == b"[DONE]" else json.loads(data)


def _add(message: dict[str, Any], piece: dict[str, Any]) -> None:
    """Add what one event says to what those before it said."""
    for name, value in piece.items():
        before = message.get(name)
        if value is None:
            message.setdefault(name, None)
        elif name == "content" and (isinstance(before, list) or isinstance(value, list)):
            message[name] = [*_parts(before), *_parts(value)]
        elif isinstance(before, type(value)) and isinstance(value, str | list):
            message[name] = before + value
        else:
            message[name] = value


def _parts(content: Any) -> list:
    return content if isinstance(content, list) else [content] if content else []
