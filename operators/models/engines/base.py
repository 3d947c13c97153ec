"""The contract of an engine: text in, text out, one request at a time, many at once."""

from dataclasses import dataclass
from typing import Protocol

MOST_DETAIL = 500  # characters
ANSWER_TRIES = 3  # of a request whose answers end in a failure


@dataclass(frozen=True)
class Request:
    """One generation.

    `messages` are chat messages ({"role", "content"}). `max_tokens` bounds the completion. A `temperature` of 0 is greedy.
    `seed` makes sampling repeatable where the engine honours it. `key` names the request in logs and is unique. Requests of one
    `kind` differ in their text alone: what all of a kind meet is not the text's fault. Those of one `chain` share most of their
    prompts, and go to the same address.
    """

    key: str
    messages: tuple[dict, ...]
    max_tokens: int
    temperature: float
    top_p: float
    stop: tuple[str, ...] = ()
    seed: int | None = None
    kind: str = ""
    chain: str | None = None


@dataclass(frozen=True)
class Completion:
    """What came of a request: a text, or the `error` that it alone caused.

    `finish_reason` is "stop" (it is whole) or "length" (cut at its cap); any other end is an error (see endings.py). Counts are
    tokens; `cached_tokens` are the prompt tokens that the prefix cache served (0 where the engine does not tell). `error` is a
    short word for the reason column, `detail` its text:

        too_long                                  the prompt alone is more than the model takes
        no_room                                   the prompt fits, but not with max_tokens behind it
        bad_request                               refused for another reason
        filtered refusal tool_call unfinished     it ended otherwise than with the end of a text
        no_text                                   it ended well, and there is no text in it
        bad_answer                                what came cannot be read
        timeout endpoint_error engine_died        nothing came
        error                                     what nobody foresaw
    """

    text: str | None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int = 0
    error: str | None = None
    detail: str | None = None


def unforeseen(error: Exception) -> Completion:
    """Take an error that nobody foresaw for the request's own."""
    return Completion(None, error="error", detail=f"{type(error).__name__}: {error}"[:MOST_DETAIL])


class EngineFailure(RuntimeError):
    """The engine itself cannot work (it does not start, the endpoint refuses everyone): no request is to blame.

    `blames` are the error words of completions that it has given for the same reason until now.
    """

    def __init__(self, message: str, blames: tuple[str, ...] = ()):
        super().__init__(message, blames)
        self.blames = blames

    def __str__(self) -> str:
        return self.args[0]


class Engine(Protocol):
    """Everything that can complete requests.

    The constructor only keeps its settings. `start` does the heavy loading and raises EngineFailure with advice.
    `complete` may be awaited from many tasks of one event loop at once; it never raises for a request's own fault, and it
    keeps `seats` requests running at the most, the others wait inside. An engine that dies is replaced inside `complete`
    and its requests are issued again, a bounded number of times; then EngineFailure. An answer that ended in a failure is
    asked for again, until ANSWER_TRIES have come, or as many as the engine's settings allow. `advice` says what the user
    should check where it refuses everyone.
    """

    model: str
    seats: int
    advice: str

    async def start(self) -> None: ...

    async def complete(self, request: Request) -> Completion: ...

    async def stop(self) -> None: ...
