"""What an OpenAI-type server says beside its answers: refusals, errors, pauses, and the list of its models."""

import gzip
import json
import re
import time
import zlib
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

MOST_DETAIL = 500  # characters of a server's message that are kept
BROKEN_JSON = (ValueError, LookupError, TypeError, AttributeError, RecursionError)  # all that odd JSON can lead to
GZIP = b"\x1f\x8b\x08"
STATUSES = {
    "rate_limit": 429,
    "quota": 429,
    "model_not_found": 404,
    "invalid_api_key": 401,
    "invalid_request": 400,
    "bad_request": 400,
}
# A refusal is about the length of a prompt where it names what is SENT and how MUCH, and no OTHER thing. Settings that only have
# such a word in their name, as length_penalty, are none.
SENT = re.compile(
    r"\b(?:tokens?|context|prompts?|messages?|inputs|input (?:is|length|size)|max_model_len|context_length_exceeded)\b",
    re.I,
)
MUCH = re.compile(
    r"\btoo (?:long|large|many)\b|\blength\b|\blonger\b|exceed|overflow|\bmaximum\b|\bat most\b|\bup to \d|\bmust be <=|"
    r"\b(?:less|fewer|more|greater) than \d",
    re.I,
)
OTHER = re.compile(
    r"\b(?:unrecognized|unknown|unexpected|unsupported|extra inputs|deadline|quota|rate limit|vocab\w*|array)\b", re.I
)
SHOWN = re.compile(r"""['"]input['"]:|\binput_value=""")  # what a validator tells after this is the request itself


class Fault(Exception):
    """An attempt failed in a way that may pass. `cost` is how much of one retry it uses up.

    `answered`: the server did answer, and has been paid for it, but not to the end.
    """

    def __init__(self, error: str, detail: str, cost: float = 1.0, answered: bool = False):
        super().__init__(f"{error}: {detail}")
        self.error, self.detail, self.cost, self.answered = error, detail[:MOST_DETAIL], cost, answered


class ServerError(Exception):
    """An error in the place of an answer, under a status that says that all is well. `status` is the one that it names."""

    def __init__(self, status: int, content: bytes):
        super().__init__(f"HTTP 200 with an error {status}")
        self.status, self.content = status, content


def unpacked(content: bytes) -> bytes:
    """Undo gzip that no header told of. Raises ValueError where it is broken."""
    if not content.startswith(GZIP):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"broken gzip ({error})") from error


def error_in(body: Any) -> ServerError | None:
    """Find the error that a body holds in the place of choices."""
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    if not error and (body.get("object") == "error" or ("choices" not in body and body.get("message"))):
        error = body
    return ServerError(_status(error, body), json.dumps({"error": error}).encode()) if error else None


def _status(error: Any, body: dict[str, Any]) -> int:
    """Give the status that an error names by number or by word; 500 where it names none."""
    named = [
        one.get(name) for one in (error, body) if isinstance(one, dict) for name in ("code", "status", "status_code")
    ]
    numbers = [int(str(value)) for value in named if re.fullmatch("[45][0-9]{2}", str(value))]
    words = " ".join(map(str, [*named, error.get("type") if isinstance(error, dict) else error])).lower()
    return numbers[0] if numbers else next((status for word, status in STATUSES.items() if word in words), 500)


def read_refusal(content: bytes) -> str:
    """Find the server's message in the body of an error, wherever it put it."""
    try:
        content = unpacked(content)
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
    said = SHOWN.split(message)[0]
    return bool(SENT.search(said) and MUCH.search(said) and not OTHER.search(said))


def pause_asked_for(headers: Mapping[str, str]) -> float:
    """Read Retry-After, in seconds or as a date (by the server's own clock where it sends it): seconds, 0 if absent."""
    wanted = headers.get("Retry-After", "").strip()
    try:
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", wanted):
            return float(wanted)
        now = parsedate_to_datetime(headers["Date"]).timestamp() if "Date" in headers else time.time()
        return max(0.0, parsedate_to_datetime(wanted).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0


def served_models(content: bytes) -> dict[str, int | None]:
    """Read the list of models and the context of each in tokens, None where the server does not tell."""
    try:
        return {str(model["id"]): count(model.get("max_model_len")) for model in json.loads(unpacked(content))["data"]}
    except BROKEN_JSON:
        return {}


def count(value: Any) -> int | None:
    """Read a number of tokens; None for what is none."""
    return value if isinstance(value, int) and 0 <= value < 2**31 else None
