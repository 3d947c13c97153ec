"""Storages are reached through the proxies that the environment names, as endpoints are."""

from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from huggingface_hub import close_session

from operators.storage.filesystem import open_filesystem
from operators.storage.place import Place
from tests.fakes.proxy import running_proxy


@pytest.fixture
def proxied(monkeypatch):
    """Send what a test opens through a proxy whose address it is given."""

    def through(address: str) -> None:
        for name in ("http_proxy", "https_proxy"):
            for spelled in (name, name.upper()):
                monkeypatch.setenv(spelled, f"http://me:hush@{address}")
        for spelled in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(spelled, raising=False)

    return through


def test_a_bucket_is_read_and_written_through_a_proxy(s3, proxied):
    here = urlsplit(s3.endpoint_url)
    with running_proxy((here.hostname, here.port), "me:hush") as proxy:
        proxied(proxy.address)
        place = Place("s3://corpus/proxied", replace(s3, endpoint_url="http://s3.amazonaws.com"))
        place.publish("note.txt", b"by way of a proxy")
        assert place.read("note.txt") == b"by way of a proxy"
    assert {line.split(" ")[1] for line in proxy.asked} == {"http://s3.amazonaws.com/corpus/proxied/note.txt"}


def test_the_hub_is_asked_through_a_proxy(s3, proxied, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    close_session()  # one that an earlier test opened knows no proxy
    with running_proxy(("127.0.0.1", 9)) as proxy:
        proxied(proxy.address)
        hub, path = open_filesystem("hf://datasets/owner/proxied/a.parquet", s3)
        with pytest.raises(Exception, match=r"(?i)ssl|connect|proxy|closed|reset|eof"):
            hub.info(path)
    close_session()
    assert proxy.asked[0] == "CONNECT huggingface.co:443 HTTP/1.1"
