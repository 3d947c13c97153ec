"""The way to a server, as the environment has it."""

import asyncio
import base64
import io
import logging
import traceback
from urllib.parse import urlsplit

import pytest

from operators.models.engines.base import Completion, EngineFailure, Request
from operators.models.engines.openai.engine import OpenAIConfig, OpenAIEngine
from operators.models.engines.openai.proxies import proxy_for
from tests.fakes.proxy import running_proxy
from tests.fakes.scripted_server import TEXT, chat, scripted_server

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
FAR = "http://model.far-away.test:8000/v1"  # which no name service knows


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """An environment without proxies, to be filled by a test."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch.setenv


@pytest.fixture
def server():
    with scripted_server(lambda asked: chat()) as server:
        yield server


def behind(server) -> tuple[str, int]:
    return urlsplit(server.url).hostname, urlsplit(server.url).port


def complete(url: str, **settings) -> Completion:
    async def run() -> Completion:
        config = OpenAIConfig(base_url=url, model="fake", backoff_s=0.01, max_retries=1, timeout_s=5, **settings)
        engine = OpenAIEngine(config)
        await engine.start()
        try:
            return await engine.complete(Request("r", ({"role": "user", "content": "Hello."},), 9, 0.0, 1.0))
        finally:
            await engine.stop()

    return asyncio.run(run())


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_server_is_reached_through_the_proxy_that_the_environment_names(server, environment, name):
    with running_proxy(behind(server)) as proxy:
        environment(name, f"http://{proxy.address}")
        assert complete(FAR).text == TEXT
        assert [line.split(" ")[:2] for line in proxy.asked] == [
            ["GET", f"{FAR}/models"],
            ["POST", f"{FAR}/chat/completions"],
        ]
        assert server.asked[0].headers["host"] == "model.far-away.test:8000"


@pytest.mark.parametrize("spared", ["127.0.0.1", "far.test, 127.0.0.0/8", "*"])
def test_a_host_that_no_proxy_names_is_reached_without(server, environment, spared):
    with running_proxy(behind(server)) as proxy:
        environment("HTTP_PROXY", proxy.address)
        environment("NO_PROXY", spared)
        assert complete(server.url).text == TEXT and proxy.asked == []
        environment("NO_PROXY", "elsewhere.test")
        assert complete(server.url).text == TEXT and len(proxy.asked) == 2


def test_an_https_server_is_reached_by_a_tunnel(environment):
    with running_proxy(("127.0.0.1", 9)) as proxy:
        environment("HTTPS_PROXY", proxy.address)
        with pytest.raises(EngineFailure, match=r"through the proxy http://127\.0\.0\.1:\d+ of HTTPS_PROXY"):
            complete("https://model.far-away.test/v1")
        assert proxy.asked[0] == "CONNECT model.far-away.test:443 HTTP/1.1"


def test_the_credentials_of_a_proxy_are_sent_to_it_alone(server, environment):
    with running_proxy(behind(server), "me:hush hush") as proxy:
        environment("HTTP_PROXY", f"http://me:hush%20hush@{proxy.address}")
        assert complete(FAR).text == TEXT
        assert not any("proxy" in name.lower() for name in server.asked[0].headers)


@pytest.mark.parametrize("url", [FAR, "https://model.far-away.test/v1"])
def test_a_proxy_that_refuses_is_told_of_without_its_password(server, environment, url):
    logs = io.StringIO()
    logging.getLogger().addHandler(handler := logging.StreamHandler(logs))
    with running_proxy(behind(server), "me:other") as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            environment(name, f"http://me:hush-hush@{proxy.address}")
        with pytest.raises(
            EngineFailure, match=r"through the proxy http://127\.0\.0\.1:\d+ of HTTPS?_PROXY .*407"
        ) as caught:
            complete(url)
    logging.getLogger().removeHandler(handler)
    told = "".join(traceback.format_exception(caught.value)) + logs.getvalue()
    secrets = ("hush-hush", base64.b64encode(b"me:hush-hush").decode())
    assert not any(secret in told for secret in secrets)


def test_a_proxy_that_is_not_there_is_named(environment):
    environment("ALL_PROXY", "http://me:hush-hush@127.0.0.1:9")
    with pytest.raises(
        EngineFailure, match=r"nothing answers at .* through the proxy http://127\.0\.0\.1:9 of ALL_PROXY"
    ):
        complete(FAR)


def test_a_proxy_of_another_kind_is_refused_with_what_to_do(environment):
    environment("ALL_PROXY", "socks5://me:hush@127.0.0.1:1080")
    with pytest.raises(EngineFailure, match=r"ALL_PROXY names a proxy of the kind socks5: .*NO_PROXY") as caught:
        complete(FAR)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "spared", "variable"),
    [
        ("https://h.test/v1", "", "HTTPS_PROXY"),
        ("http://h.test/v1", "", "ALL_PROXY"),
        ("http://sub.h.test/v1", "h.test", None),
        ("http://sub.h.test/v1", "*.h.test", None),
        ("http://xh.test/v1", "h.test", "ALL_PROXY"),
        ("http://h.test:8000/v1", "h.test:9000", "ALL_PROXY"),
        ("http://h.test:8000/v1", "h.test:8000", None),
        ("http://10.3.2.1/v1", "10.0.0.0/8", None),
        ("http://11.3.2.1/v1", "10.0.0.0/8", "ALL_PROXY"),
        ("http://[::1]:8000/v1", "::1", None),
    ],
)
def test_which_proxy_a_url_has_is_told_by_its_scheme_and_no_proxy(environment, url, spared, variable):
    environment("HTTPS_PROXY", "p.test:1")
    environment("ALL_PROXY", "p.test:2")
    environment("NO_PROXY", spared)
    proxy = proxy_for(url)
    assert (proxy and proxy.variable) == variable


@pytest.mark.parametrize("address", ["http://[::1:3128", "http://me:hush@:3128", "http://host:port"])
def test_an_address_that_is_none_is_told_by_its_variable_alone(environment, address):
    environment("HTTP_PROXY", address)
    with pytest.raises(EngineFailure, match="HTTP_PROXY names an address that is none") as caught:
        proxy_for(FAR)
    assert "hush" not in str(caught.value) and "3128" not in str(caught.value)
