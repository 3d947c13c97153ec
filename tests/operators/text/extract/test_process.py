import os
import signal
import time

import pytest

from operators.errors import BadRequest
from operators.text.extract import EXTRACTORS, ExtractConfig, NoText, decode, extract
from operators.text.extract import process as module

KOREAN = "강물은 쉬지 않고 흐르며 물레방아를 돌린다. 방앗간은 밤새도록 곡식을 빻아 마을 사람들에게 나누어 준다."
ARTICLE = "<p>The mill stands by the river, and its wheel has turned without a rest for more than a hundred years.</p>"


def page(body: str, head: str = "") -> str:
    return f"<!doctype html><html><head>{head}</head><body><nav><a href=/>Home</a></nav><article>{body}</article></body></html>"


def text_or_cause(html: bytes, by: str = "trafilatura") -> str | None:
    try:
        return extract(html, by=by)
    except NoText as cause:
        return f"{cause.reason}: {cause}"


@pytest.mark.parametrize("by", EXTRACTORS)
def test_the_main_text_is_found_and_the_rest_is_not(by):
    text = extract(page(ARTICLE * 3).encode(), by=by)
    assert text.count("The mill stands") >= 1 and "Home" not in text


@pytest.mark.parametrize("by", EXTRACTORS)
def test_an_extractor_keeps_its_contract_whatever_the_page_is(by):
    for html in (b"<html></html>", b"<" * 10_000, bytes(range(256)) * 40, b"<div>" * 2_000 + b"deep", b"\0" * 50):
        text = text_or_cause(html, by)
        assert text is None or (text.strip() == text and text)
    assert extract(page(f"<p>{KOREAN}</p>" * 3).encode("euc-kr"), "euc-kr", by).startswith(KOREAN)
    assert extract(page(f"<p>{ARTICLE}</p>" * 3).encode(), by=by)


@pytest.mark.long  # one of them takes half a minute for it
@pytest.mark.parametrize("by", EXTRACTORS)
def test_an_extractor_outlives_a_page_that_is_nested_deep(by):
    text = text_or_cause(b"<div>" * 50_000 + b"deep", by)
    assert text in (None, "deep") or ": " in text
    assert extract(page(ARTICLE * 3).encode(), by=by)


def test_an_extractor_that_is_not_there_is_refused_by_name():
    with pytest.raises(BadRequest, match=r"extract\.by is 'resiliparser'.*Did you mean 'resiliparse'"):
        ExtractConfig("resiliparser")


@pytest.mark.parametrize(
    ("charset", "header", "head"),
    [
        ("utf-8", None, ""),
        ("utf-8", "iso-8859-1", ""),
        ("euc-kr", "euc-kr", ""),
        ("cp949", None, '<meta charset="ks_c_5601-1987">'),
        ("utf-8-sig", "euc-kr", ""),
        ("iso2022_kr", "ISO-2022-KR", ""),
    ],
)
def test_korean_pages_of_any_charset_are_read(charset, header, head):
    text = extract(page(f"<p>{KOREAN}</p>" * 3, head).encode(charset), header)
    assert text.startswith(KOREAN)


def test_bytes_that_no_charset_fits_are_decoded_all_the_same():
    assert decode(b"caf\xe9 " * 20, "windows-1252") == "café " * 20
    assert decode("본문 ".encode() * 200 + b"\xff") == "본문 " * 200 + "\ufffd"
    for charset in ("base64", "idna", "no such charset", "\0", "utf-7", "undefined"):
        assert isinstance(decode(bytes(range(256)), charset), str)


@pytest.mark.parametrize("html", [b"", b" \n", b"\0" * 50, b"<html></html>", b"<" * 10_000, bytes(range(256)) * 40])
def test_a_page_without_text_gives_none(html):
    assert extract(html) is None


def test_a_deeply_nested_page_does_no_harm():
    text_or_cause(b"<div>" * 50_000 + b"deep")
    assert extract(page(ARTICLE * 3).encode())


def test_a_page_that_takes_too_long_is_given_up_and_the_next_one_is_read(monkeypatch):
    extract(page(ARTICLE).encode())  # the process is running
    huge = page("".join(f"<p>{i} {ARTICLE}</p>" for i in range(20_000))).encode()
    with monkeypatch.context() as patch:
        patch.setattr(module, "SECONDS", 0.2)
        began = time.monotonic()
        with pytest.raises(NoText, match=r"within 0\.2 s") as cause:
            extract(huge)
        assert cause.value.reason == "deadline"
        assert time.monotonic() - began < 5
    assert extract(page(ARTICLE * 3).encode())


def test_a_page_above_the_limit_is_not_even_tried(monkeypatch):
    monkeypatch.setattr(module, "MAX_HTML", 10)
    with pytest.raises(NoText, match="10 are read at the most") as cause:
        extract(page(ARTICLE * 3).encode())
    assert cause.value.reason == "too_large"


SERVED = "import sys, operators.text.extract.process as process; process.load = lambda by: {}; process.serve('fake')"


@pytest.mark.parametrize(
    ("main_text", "reason", "said"),
    [
        ("lambda page: process.os._exit(1)", "crash", "ended under it, 2 times"),
        ("lambda page: [][len(page)]", "no_main_text", "fake raised IndexError: list index out of range"),
    ],
)
def test_what_an_extractor_does_instead_of_finding_a_text_is_told(monkeypatch, main_text, reason, said):
    monkeypatch.setattr(module, "SERVE", SERVED.format(main_text))
    process = module.Process("fake")
    for _ in range(2):  # and the next page is tried like the first
        with pytest.raises(NoText, match=said) as cause:
            process.extract(b"<p>x</p>", "")
        assert cause.value.reason == reason
    process._stop()


def test_a_process_that_was_killed_costs_no_page():
    extract(page(ARTICLE).encode())
    os.kill(module.process_of("trafilatura").running.pid, signal.SIGKILL)
    assert extract(page(ARTICLE * 3).encode())


def test_an_extractor_that_cannot_start_is_an_error_and_no_empty_page(monkeypatch):
    process = module.Process("trafilatura")
    monkeypatch.setattr(module.sys, "executable", "/bin/false")
    with pytest.raises(module.ExtractorFailure, match="trafilatura"):
        process.extract(b"<p>x</p>", "")
