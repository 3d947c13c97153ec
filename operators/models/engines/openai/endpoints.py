"""The addresses of an OpenAI-type server: how to reach each, and which may be sent to next."""

import asyncio
import base64
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from operators.errors import BadRequest
from operators.models.engines.base import EngineFailure
from operators.models.engines.openai.protocol import read_refusal, served_models
from operators.models.engines.openai.proxies import Proxy, proxy_for

PROBES, PROBE_TIMEOUT_S = 4, 10.0
NOBODY_BEHIND = (502, 503, 504)  # what a proxy says for a server that is not there
PROXY_REFUSES = 407  # it wants other credentials
LONGEST_BACKOFF_S = 60.0

log = logging.getLogger(__name__)


def backoff(first_s: float, doublings: float) -> float:
    """Give a pause in seconds, doubled with every failure up to LONGEST_BACKOFF_S."""
    return min(LONGEST_BACKOFF_S, first_s * 2**doublings)


def _number(name: str) -> int:
    """Draw a number by a name, the same in every process."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest())


@dataclass
class Endpoint:
    """One address.

    `name` is without the secrets that it may carry. Nothing is sent before `free_at` (loop time). `refusals` counts the
    failed connections in a row. `proxy` is the one through which it is reached.
    """

    name: str
    query: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    proxy: Proxy | None = None
    in_flight: int = 0
    free_at: float = 0.0
    refusals: int = 0

    @classmethod
    def parse(cls, base_url: str, key: str = "", block: str = "engine.openai") -> "Endpoint":
        """Take an address apart; `block` names the settings that it stands in.

        Credentials in it (http://user:password@host) go before the key. Raises BadRequest.
        """
        try:
            parts = urlsplit(base_url.strip())
            name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
            sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            sound, name = False, base_url.rpartition("@")[2]
        if not sound:
            raise BadRequest(f"{block}.base_url is {name!r}; it must look like http://localhost:8000/v1.")
        headers = {"Content-Type": "application/json"}
        password = parts.password or ""
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(password)}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        elif key:
            headers["Authorization"] = f"Bearer {key}"
        secrets = (key, password, unquote(password), *(value for _, value in parse_qsl(parts.query)))
        return cls(name, parts.query, headers, tuple(filter(None, secrets)))

    def url(self, path: str) -> str:
        """Give the full URL of a path; it may hold secrets."""
        return self.name + path + (f"?{self.query}" if self.query else "")

    def by_environment(self) -> "Endpoint":
        """Give the endpoint with the proxy that the environment names. Raises EngineFailure for one that cannot be used."""
        return replace(self, proxy=proxy_for(self.name))

    def asked(self) -> dict[str, Any]:
        """Give what aiohttp must be told with every request: header fields, the proxy, and to follow nobody elsewhere."""
        told = self.proxy.asked(self.name) if self.proxy else {}
        return told | {"headers": self.headers | told.get("headers", {}), "allow_redirects": False}

    @property
    def way(self) -> str:
        """Say through which proxy it is reached, where there is one."""
        return f" through the proxy {self.proxy.url} of {self.proxy.variable}" if self.proxy else ""

    def redacted(self, text: object) -> str:
        """Take the secrets out of what a server or a library wrote."""
        text = str(text)
        for secret in (*self.secrets, *(self.proxy.secrets if self.proxy else ())):
            text = text.replace(secret, "***")
        return text


class Endpoints:
    """Addresses that serve the same model. Everything that is sent waits for its turn here."""

    def __init__(self, endpoints: list[Endpoint], requests_per_minute: int | None, backoff_s: float, block: str):
        self.endpoints, self.backoff_s, self.block = endpoints, backoff_s, block
        self.models: dict[str, int | None] = {}  # what they serve: name -> least context in tokens, where it is told
        self._every = 60 / requests_per_minute if requests_per_minute else 0.0
        self._next = 0.0
        self._gate = asyncio.Lock()

    async def turn(self, chain: str | None = None) -> Endpoint:
        """Wait until something may be sent, and say where: the least busy endpoint of those that do not pause.

        A chain goes to the same one each time, while that takes connections: there it finds its last prompt in the cache.
        """
        while True:
            await self.until_free(chain)
            async with self._gate:
                while not self._pauses(chain):  # where it does now, the others need not wait for that
                    now = asyncio.get_running_loop().time()
                    least = min(self.endpoints, key=lambda one: (max(one.free_at, now), one.in_flight))
                    endpoint = self._home(chain) or least
                    due = max(endpoint.free_at, self._next)
                    if due <= now:
                        self._next = max(self._next + self._every, now)
                        return endpoint
                    await asyncio.sleep(due - now)

    async def until_free(self, chain: str | None) -> None:
        """Wait while the address of a chain pauses; who waits so need hold nothing."""
        while (pause := self._pauses(chain)) > 0:
            await asyncio.sleep(pause)

    def _pauses(self, chain: str | None) -> float:
        """Give the seconds for which the address of a chain still pauses."""
        home = self._home(chain)
        return max(0.0, home.free_at - asyncio.get_running_loop().time()) if home else 0.0

    def _home(self, chain: str | None) -> Endpoint | None:
        """Give the address of a chain; none while it takes no connections, or there is no chain."""
        home = self.endpoints[_number(chain) % len(self.endpoints)] if chain else None
        return home if home and not home.refusals else None

    def pause(self, endpoint: Endpoint, seconds: float) -> None:
        endpoint.free_at = max(endpoint.free_at, asyncio.get_running_loop().time() + seconds)

    def refused(self, endpoint: Endpoint, began: float) -> int:
        """Note a connection that failed. Returns how often in a row the most willing endpoint has refused.

        The first to find out, of all that were sent together, makes the endpoint pause, longer each time.
        """
        if began >= endpoint.free_at:
            endpoint.refusals += 1
            self.pause(endpoint, backoff(self.backoff_s, endpoint.refusals))
        return min(one.refusals for one in self.endpoints)

    async def probe(self, session: Any, timeout_s: float) -> None:
        """Knock at every address; one that opens is enough. Raises EngineFailure; PermissionError for a refused key."""
        knocks = (self._knock_often(endpoint, session, min(PROBE_TIMEOUT_S, timeout_s)) for endpoint in self.endpoints)
        troubles = await asyncio.gather(*knocks, return_exceptions=True)
        for trouble in troubles:
            if isinstance(trouble, BaseException):
                raise trouble
        told = [f"nothing answers at {e.name}{e.way} ({t})" for e, t in zip(self.endpoints, troubles, strict=True) if t]
        if len(told) == len(self.endpoints):
            raise EngineFailure(f"{'; '.join(told)}. Is the server running, and is {self.block}.base_url its address?")
        for endpoint, trouble in zip(self.endpoints, troubles, strict=True):
            endpoint.refusals = 1 if trouble else 0
        for line in told:
            log.warning("%s; going on without it", line)

    async def _knock_often(self, endpoint: Endpoint, session: Any, timeout_s: float) -> str | None:
        for knock in range(PROBES):
            if knock:
                await asyncio.sleep(backoff(self.backoff_s, knock - 1))
            trouble = await self._knock(endpoint, session, timeout_s)
            if not trouble:
                return None
        return trouble

    async def _knock(self, endpoint: Endpoint, session: Any, timeout_s: float) -> str | None:
        """Ask for the list of models; any answer proves that the server is there. Returns what went wrong."""
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with session.get(endpoint.url("/models"), timeout=timeout, **endpoint.asked()) as answer:
                content = await answer.read()
        except TimeoutError:
            return f"no answer within {timeout_s:g} s"
        except aiohttp.ClientHttpProxyError as error:
            return f"the proxy says {error.status} {endpoint.redacted(error.message)}"
        except (aiohttp.ClientError, OSError) as error:
            return endpoint.redacted(error) or type(error).__name__
        if answer.status == 401:
            raise PermissionError(f"{endpoint.name} refuses the key ({endpoint.redacted(read_refusal(content))})")
        if answer.status in NOBODY_BEHIND or answer.status == PROXY_REFUSES:
            return f"HTTP {answer.status}"
        for name, context in served_models(content).items():
            self.models[name] = min(filter(None, (context, self.models.get(name))), default=None)
        return None
