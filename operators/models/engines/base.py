"""The contract of an engine: text in, text out, one request at a time, many at once."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Request:
    """One generation.

    `messages` are chat messages ({"role", "content"}). `max_tokens` bounds the completion. A `temperature` of 0 is greedy.
    `seed` makes sampling repeatable where the engine honours it. `key` names the request in logs and is unique.
    """

    key: str
    messages: tuple[dict, ...]
    max_tokens: int
    temperature: float
    top_p: float
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True)
class Completion:
    """What came of a request: a text, or the `error` that it alone caused.

    `finish_reason` is "stop" or "length". Counts are tokens; `cached_tokens` are the prompt tokens that the prefix cache
    served (0 where the engine does not tell). `error` is a short word for the reason column (too_long, bad_request, timeout,
    engine_died, endpoint_error, bad_answer), `detail` its text.
    """

    text: str | None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int = 0
    error: str | None = None
    detail: str | None = None


class EngineFailure(RuntimeError):
    """The engine itself cannot work (it does not start, the endpoint refuses everyone): no request is to blame."""


class Engine(Protocol):
    """Everything that can complete requests.

    The constructor only keeps its settings. `start` does the heavy loading and raises EngineFailure with advice.
    `complete` may be awaited from many tasks of one event loop at once; it never raises for a request's own fault, and it
    keeps `seats` requests running at the most, the others wait inside. An engine that dies is replaced inside `complete`
    and its requests are issued again, a bounded number of times; then EngineFailure. Where every request is refused
    and none was ever answered, it is the engine that is to blame, and EngineFailure is raised too (see Refusals).
    """

    model: str
    seats: int

    async def start(self) -> None: ...

    async def complete(self, request: Request) -> Completion: ...

    async def stop(self) -> None: ...
