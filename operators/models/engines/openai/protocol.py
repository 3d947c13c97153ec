"""What comes back from an OpenAI-type server: answers, refusals, pauses, and the list of its models."""

import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from operators.models.engines.base import Completion

MOST_DETAIL = 500  # characters of a server's message that are kept
BROKEN_JSON = (ValueError, LookupError, TypeError, AttributeError, RecursionError)  # all that odd JSON can lead to
OF_LENGTH = re.compile(r"context|length|too (long|large|many tokens)|longer than|max_new_tokens|max_model_len", re.I)


class Fault(Exception):
    """An attempt failed in a way that may pass. `cost` is how much of one retry it uses up."""

    def __init__(self, error: str, detail: str, cost: float = 1.0):
        super().__init__(f"{error}: {detail}")
        self.error, self.detail, self.cost = error, detail[:MOST_DETAIL], cost


def read_answer(content: bytes) -> Completion:
    """Read the body of a completion, chat or plain. Raises Fault("bad_answer") if it is not one.

    A null text (a refusal, a model that spent all its tokens on thinking) is final: the same would come again.
    """
    try:
        answer = json.loads(content)
        choice = answer["choices"][0]
        text = choice["message"]["content"] if "message" in choice else choice["text"]
        reason = choice.get("finish_reason")
        usage = answer.get("usage") or {}
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    except BROKEN_JSON as error:
        raise Fault("bad_answer", f"the server's answer is no completion: {read_refusal(content)}") from error
    counts = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")), _count(cached) or 0
    if not isinstance(text, str) or reason == "content_filter":
        return Completion(None, None, *counts, error="bad_answer", detail=f"no text came (finish_reason {reason})")
    if not text.isascii():  # JSON can carry half a character pair, which no file can hold
        text = text.encode("utf-8", "replace").decode()
    return Completion(text, "length" if reason in ("length", "max_tokens", "model_length") else "stop", *counts)


def read_refusal(content: bytes) -> str:
    """Find the server's message in the body of an error, wherever it put it."""
    try:
        answer: Any = json.loads(content)
    except (ValueError, RecursionError):
        return content[:MOST_DETAIL].decode("utf-8", "replace")
    if isinstance(answer, dict):
        answer = answer.get("error") or answer
    if isinstance(answer, dict):
        words = [answer[name] for name in ("message", "detail", "code") if answer.get(name)]
        answer = " ".join(map(str, words)) or answer
    return str(answer)


def speaks_of_length(message: str) -> bool:
    """Tell whether a refusal is about too many tokens; every kind of server words it in its own way."""
    return bool(OF_LENGTH.search(message))


def pause_asked_for(headers: Mapping[str, str]) -> float:
    """Read Retry-After, in seconds or as a date (by the server's own clock where it sends it): seconds, 0 if absent."""
    wanted = headers.get("Retry-After", "").strip()
    try:
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", wanted):
            return float(wanted)
        now = parsedate_to_datetime(headers["Date"]).timestamp() if "Date" in headers else time.time()
        return max(0.0, parsedate_to_datetime(wanted).timestamp() - now)
    except ValueError:
        return 0.0


def served_models(content: bytes) -> dict[str, int | None]:
    """Read the list of models and the context of each in tokens, None where the server does not tell."""
    try:
        return {str(model["id"]): _count(model.get("max_model_len")) for model in json.loads(content)["data"]}
    except BROKEN_JSON:
        return {}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and 0 <= value < 2**31 else None
