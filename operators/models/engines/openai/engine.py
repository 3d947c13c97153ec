"""The engine behind a URL: any server that speaks OpenAI's protocol (vLLM, SGLang, llama.cpp, a paid service)."""

import asyncio
import os
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import msgspec

from operators.errors import BadRequest
from operators.models.engines.base import ANSWER_TRIES, Completion, EngineFailure, Request
from operators.models.engines.openai.answers import read_answer
from operators.models.engines.openai.endpoints import LONGEST_BACKOFF_S, PROXY_REFUSES, Endpoint, Endpoints, backoff
from operators.models.engines.openai.protocol import (
    MOST_DETAIL,
    Fault,
    ServerError,
    count,
    pause_asked_for,
    read_refusal,
    speaks_of_length,
)
from operators.settings import setting

PATHS = {"chat": "/chat/completions", "completions": "/completions"}
MAY_PASS = (408, 409, 425, 429)  # and all of 5xx
TIMEOUT_TRIES = 3
FEWEST_LOST = 20  # requests in a row that must come to nothing before the endpoint is blamed, not they
NOTHING_CAME = ("endpoint_error", "timeout", "bad_answer")
CONNECT_TIMEOUT_S = 10.0
LONGEST_PAUSE_S = 900.0  # an endpoint that asks for more has run out of a quota, not of breath
RATE_LIMIT_COST = 0.25  # of a retry: the limit is shared, so a request is turned away through no fault of its own
CAPS = ("max_tokens", "max_completion_tokens", "max_new_tokens", "n_predict")  # as servers call the cap of a completion
PROXY_ADVICE = "Give its credentials in its address, http://USER:PASSWORD@HOST:PORT, or name the server in NO_PROXY."
SHORT = 16  # tokens: the shortest cap that every server takes


@dataclass
class OpenAIConfig:
    base_url: Any = setting(
        "", "address of the server up to /v1, or a list: each request goes to the least busy one", identity=False
    )
    model: str = setting("", "name under which the server knows the model")
    api: str = setting("chat", "chat, or completions for a model without a chat template")
    concurrency: int = setting(64, "requests in flight per engine copy", identity=False)
    api_key_env: str = setting(
        "OPENAI_API_KEY", "environment variable that holds the key; may be unset", identity=False
    )
    timeout_s: float = setting(
        300.0, f"seconds that one attempt may take; after {TIMEOUT_TRIES} of them a request is given up", identity=False
    )
    max_retries: int = setting(8, "attempts after the first, for faults that may pass", identity=False)
    backoff_s: float = setting(
        0.5,
        f"seconds before the first retry, doubled each time up to {LONGEST_BACKOFF_S:g}, with jitter",
        identity=False,
    )
    requests_per_minute: int | None = setting(None, "most requests sent per minute and engine copy", identity=False)
    extra: dict[str, Any] = setting({}, "more fields for the body of every request; null leaves one of ours out")
    context_tokens: int | None = setting(
        None, "the model's context in tokens, where the server does not tell it", identity=False
    )

    def __repr__(self) -> str:
        """Show the config without the password that an address may carry."""
        shown = re.sub(r"(?<=//)[^/\s]*@|\?[^\s']*", "***", str(self.base_url))
        return f"OpenAIConfig(base_url={shown}, model={self.model!r}, api={self.api!r}, concurrency={self.concurrency})"


class OpenAIEngine:
    """Complete requests at one or several endpoints.

    Faults that may pass (connection lost, timeout, HTTP 408, 409, 425, 429, 5xx, an unreadable answer, one that ended in a
    failure) are retried with exponential backoff and full jitter; a Retry-After holds back everything for that endpoint. An
    endpoint that takes no connection is no request's fault: requests wait or go elsewhere, until it has refused more than
    `max_retries` times in a row. The proxies that the environment names are used.
    `block` is the name under which the settings were given. Raises BadRequest for settings that cannot work.
    """

    def __init__(self, config: OpenAIConfig, block: str = "engine.openai"):
        _check(config, block)
        self.config, self.model, self.seats, self.block = config, config.model, config.concurrency, block
        self.context_tokens = config.context_tokens
        self.advice = (
            f"Check {block}.extra and {block}.model; a model without a chat template wants {block}.api=completions."
        )
        self._session = None

    async def start(self) -> None:
        """Connect. Raises EngineFailure where nothing answers or the key is refused."""
        import aiohttp

        await self.stop()
        config, key = self.config, os.environ.get(self.config.api_key_env, "").strip()
        endpoints = [Endpoint.parse(url, key, self.block).by_environment() for url in _urls(config)]
        self._endpoints = Endpoints(endpoints, config.requests_per_minute, config.backoff_s, self.block)
        self._path, self._free_seats = PATHS[config.api], asyncio.Semaphore(self.seats)
        self._answered = self._lost = 0
        self._failure: tuple[str, tuple[str, ...]] | None = None
        self._unreachable = aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError
        self._tunnel_refused, self._broken = aiohttp.ClientHttpProxyError, (aiohttp.ClientError, OSError)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=config.timeout_s, sock_connect=CONNECT_TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        try:
            await self._endpoints.probe(self._session, config.timeout_s)
        except PermissionError as error:
            await self.stop()
            raise EngineFailure(f"{error}. {self._advice(401)}") from error
        except BaseException:
            await self.stop()
            raise
        self.context_tokens = config.context_tokens or self._endpoints.models.get(self.model)

    async def stop(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def complete(self, request: Request) -> Completion:
        """Send until it is answered or `max_retries` is used up. Raises EngineFailure where no request can pass."""
        body = self._body(request)
        spent, answered_before = 0.0, self._answered
        chain = request.chain
        while True:
            await self._endpoints.until_free(chain)
            try:
                async with self._free_seats:
                    return await self._to_an_end(body, chain)
            except Fault as fault:
                chain = None  # whoever answers is right now
                spent += fault.cost
                if fault.answered or spent > self.config.max_retries:
                    return self._give_up(fault, answered_before)
            await asyncio.sleep(random.random() * backoff(self.config.backoff_s, spent - 1))

    async def _to_an_end(self, body: dict[str, Any], chain: str | None) -> Completion:
        """Send again, at once and in the same seat, what was answered and broke off.

        Were the seat given up, all that waits would be paid for twice before it is seen that nothing is ever answered to its end.
        """
        for tries in range(min(ANSWER_TRIES, self.config.max_retries + 1), 0, -1):
            try:
                return await self._cause(body, chain, await self._attempt(body, chain))
            except Fault as fault:
                if tries == 1 or not fault.answered:
                    raise
        raise AssertionError("there is at least one try")

    def _body(self, request: Request) -> dict[str, Any]:
        body = {
            "model": self.model,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "stop": request.stop or None,
            "seed": request.seed,
        }
        if self.config.api == "chat":
            body["messages"] = request.messages
        else:
            body["prompt"] = "\n\n".join(message["content"] for message in request.messages)
        return {name: value for name, value in (body | self.config.extra).items() if value is not None}

    async def _attempt(self, body: dict[str, Any], chain: str | None) -> Completion:
        """Send once. Raises Fault where another attempt may help, EngineFailure where none can."""
        endpoint = await self._endpoints.turn(chain)
        status, headers, content = await self._send(endpoint, body)
        try:
            if status < 300:
                completion = self._read(content, body)
                self._answered += 1
                return completion
        except ServerError as error:
            status, content = error.status, error.content
        except Fault as fault:
            self._answered += fault.answered
            raise
        return self._refusal(endpoint, status, headers, content)

    async def _send(self, endpoint: Endpoint, body: dict[str, Any]) -> tuple[int, Mapping[str, str], bytes]:
        """Send once, and give status, header fields and body of what comes back. Raises Fault and EngineFailure."""
        if self._failure:
            raise EngineFailure(*self._failure)
        endpoint.in_flight += 1
        began, url, data = asyncio.get_running_loop().time(), endpoint.url(self._path), msgspec.json.encode(body)
        try:
            async with self._session.post(url, data=data, **endpoint.asked()) as answer:
                content = await answer.read()
        except self._tunnel_refused as error:
            if error.status == PROXY_REFUSES:
                self._fail(
                    f"{endpoint.name} is not reached{endpoint.way}: {error.status} {error.message}. {PROXY_ADVICE}"
                )
            raise self._refused(endpoint, began, f"{error.status} {error.message}") from error
        except self._unreachable as error:
            raise self._refused(endpoint, began, error) from error
        except TimeoutError as error:
            cost = max(1.0, self.config.max_retries / (TIMEOUT_TRIES - 1))
            raise Fault("timeout", f"no answer within {self.config.timeout_s:g} s", cost) from error
        except self._broken as error:
            detail = endpoint.redacted(f"{type(error).__name__}: {error}")
            raise Fault("endpoint_error", f"the connection broke ({detail})") from error
        finally:
            endpoint.in_flight -= 1
        endpoint.refusals = 0
        return answer.status, answer.headers, content

    async def _cause(self, body: dict[str, Any], chain: str | None, came: Completion) -> Completion:
        """Give what came of a body; one that was refused for its length is sent with a short answer behind it, to learn why.

        Where that is taken, there was no room; where it is refused, but not for its length, neither was the first. Raises as
        `_attempt`.
        """
        caps = {name: SHORT for name in CAPS if (count(body.get(name)) or 0) > SHORT}
        if came.error != "too_long" or not caps:
            return came
        try:
            error = (await self._attempt(body | caps, chain)).error
        except Fault as fault:
            if not fault.answered:
                raise
            error = fault.error
        if error in ("too_long", "bad_request"):
            return replace(came, error=error)
        return replace(came, error="no_room", detail=f"no room for {_caps(body)} beyond the prompt: {came.detail}")

    def _read(self, content: bytes, body: dict[str, Any]) -> Completion:
        caps = [cap for name in CAPS if (cap := count(body.get(name)))]
        return read_answer(content, min(caps, default=None))

    def _refused(self, endpoint: Endpoint, began: float, error: Exception | str) -> Fault:
        trouble = f"{endpoint.name}{endpoint.way} ({endpoint.redacted(error)})"
        if self._endpoints.refused(endpoint, began) > self.config.max_retries:
            self._fail(f"nothing answers any more at {trouble}. Once the server is back, run again.")
        return Fault("endpoint_error", f"no connection to {trouble}", cost=0)

    def _refusal(self, endpoint: Endpoint, status: int, headers: Mapping[str, str], content: bytes) -> Completion:
        """Judge an answer that is no completion: a fault that may pass, one that all meet, or the request's own."""
        message = endpoint.redacted(read_refusal(content))[:MOST_DETAIL]
        said = f"HTTP {status}: {message}"
        if status in MAY_PASS or status >= 500:
            pause = pause_asked_for(headers)
            if pause > LONGEST_PAUSE_S or (status == 429 and "insufficient_quota" in message):
                self._fail(f"{endpoint.name} sends us away for {pause:.0f} s or until we pay ({said}).")
            self._endpoints.pause(endpoint, pause)
            raise Fault("endpoint_error", said, RATE_LIMIT_COST if status == 429 else 1)
        if status == PROXY_REFUSES:
            self._fail(f"{endpoint.name} is not reached{endpoint.way} ({said}). {PROXY_ADVICE}")
        # 403 may be a moderator's word on one text: it condemns the key only while nobody has been answered.
        if status < 400 or status in (401, 402, 404) or (status == 403 and not self._answered):
            location = endpoint.redacted(headers.get("Location", ""))
            self._fail(f"{endpoint.name} refuses every request ({said}). {self._advice(status, location)}")
        too_long = status == 413 or speaks_of_length(message)
        return Completion(None, error="too_long" if too_long else "bad_request", detail=message)

    def _give_up(self, fault: Fault, answered_before: int) -> Completion:
        """Let one request go. When many in a row saw nobody answered meanwhile, the endpoint is to blame, not they."""
        self._lost = self._lost + 1 if self._answered == answered_before and not fault.answered else 0
        if self._lost >= max(self.seats, FEWEST_LOST):
            said = f"{self._lost} requests in a row came to nothing: {fault}. Once the server works, run again."
            self._fail(said, blames=NOTHING_CAME)
        return Completion(None, error=fault.error, detail=fault.detail)

    def _fail(self, message: str, blames: tuple[str, ...] = ()) -> NoReturn:
        self._failure = message, blames
        raise EngineFailure(message, blames)

    def _advice(self, status: int, location: str = "") -> str:
        if location:
            return f"Give the address to which it redirects as {self.block}.base_url: {location}"
        if status in (401, 403):
            variable = self.config.api_key_env
            state = "its value is refused" if os.environ.get(variable) else "it is not set"
            return f"The key is read from the environment variable {variable}: {state}."
        if status == 402:
            return "The account behind the key has no credit."
        served = f" It serves: {', '.join(self._endpoints.models)}." if self._endpoints.models else ""
        return f"Check {self.block}.base_url (it often ends in /v1) and {self.block}.model={self.model}.{served}"


def _caps(body: dict[str, Any]) -> str:
    """Name the cap of an answer that a body asks for."""
    return ", ".join(f"{name}={body[name]}" for name in CAPS if body.get(name))


def _urls(config: OpenAIConfig) -> list[str]:
    return [config.base_url] if isinstance(config.base_url, str) else list(config.base_url)


def _check(config: OpenAIConfig, block: str) -> None:
    if not config.base_url:
        raise BadRequest(f"{block}.base_url is empty. Give the server's address, as http://localhost:8000/v1.")
    for url in _urls(config):
        Endpoint.parse(url, block=block)
    if not config.model:
        raise BadRequest(f"{block}.model is empty. Give the name that the server lists under /v1/models.")
    if config.api not in PATHS:
        raise BadRequest(f"{block}.api is {config.api!r}; it can be {' or '.join(PATHS)}.")
    least = {"concurrency": 1, "timeout_s": 0.001, "max_retries": 0, "backoff_s": 0, "requests_per_minute": 1}
    for name, limit in least.items():
        value = getattr(config, name)
        if value is not None and value < limit:
            raise BadRequest(f"{block}.{name} is {value}; it must be at least {limit}.")
