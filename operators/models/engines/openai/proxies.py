"""Proxies that the environment names: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, and NO_PROXY with the hosts reached without."""

import base64
import ipaddress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment

from operators.models.engines.base import EngineFailure

KINDS = ("http", "https")


@dataclass(frozen=True)
class Proxy:
    """A proxy without its credentials, which stand in `authorization` (null: none) and, as they are written, in `secrets`."""

    url: str
    variable: str
    authorization: str | None = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)

    def asked(self, url: str) -> dict[str, Any]:
        """Give what aiohttp must be told to send a request for a URL this way: `proxy`, and header fields for the proxy.

        Through a tunnel only the request for it may carry the credentials; without one the proxy reads them in the request.
        """
        fields = {"Proxy-Authorization": self.authorization} if self.authorization else {}
        return {"proxy": self.url, "headers" if url.startswith("http:") else "proxy_headers": fields}


def proxy_for(url: str) -> Proxy | None:
    """Give the proxy through which the environment wants a URL to be reached. Raises EngineFailure for one of an unknown kind."""
    named, parts = getproxies_environment(), urlsplit(url)
    kind = next((kind for kind in (parts.scheme, "all") if named.get(kind)), None)
    if kind is None or _spared(parts.hostname, parts.port, named):
        return None
    variable = f"{kind.upper()}_PROXY"
    address = named[kind] if "://" in named[kind] else f"http://{named[kind]}"
    try:
        proxy = urlsplit(address)
        sound = proxy.scheme in KINDS and proxy.hostname and proxy.port != 0
    except ValueError:
        sound = False
    if not sound:
        kind = address.partition(":")[0]
        what = (
            "an address that is none"
            if kind in KINDS
            else f"a proxy of the kind {kind}: and only http: and https: are spoken here"
        )
        raise EngineFailure(
            f"{variable} names {what}. Write it as http://HOST:PORT, or to go without a proxy name {parts.hostname} in NO_PROXY."
        )
    user, password = unquote(proxy.username or ""), unquote(proxy.password or "")
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    secrets = tuple(filter(None, (proxy.password, password, pair if user else "")))
    where = f"{proxy.scheme}://{proxy.netloc.rpartition('@')[2]}"
    return Proxy(where, variable, f"Basic {pair}" if user else None, secrets)


def _spared(host: str, port: int | None, named: dict[str, str]) -> bool:
    """Whether NO_PROXY names a host: itself, a domain that it is in, or a network as 10.0.0.0/8."""
    no = named.get("no", "").replace("*.", ".")
    if proxy_bypass_environment(f"{host}:{port}" if port else host, named | {"no": no}):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for name in no.split(",") if (network := _network(name.strip())))


def _network(name: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(name.strip("[]"), strict=False)
    except ValueError:
        return None
