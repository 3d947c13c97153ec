import gzip
import zlib

import pyarrow as pa
import pytest
import zstandard

from operators.storage.formats import response
from operators.storage.formats.response import BadResponse, parse_response

PAGE = b"<html><body>" + b"page " * 500 + b"</body></html>"


def stored(body: bytes, **fields) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return b"HTTP/1.1 200 OK\r\n" + lines.encode() + b"\r\n" + body


def chunked(body: bytes) -> bytes:
    chunks = [body[at : at + 100] for at in range(0, len(body), 100)]
    return b"".join(b"%x;ext=1\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(PAGE, mtime=0)),
        ("deflate", zlib.compress(PAGE)),
        ("deflate", zlib.compress(PAGE)[2:-4]),
        ("br", pa.Codec("brotli").compress(PAGE, asbytes=True)),
        ("zstd", zstandard.compress(PAGE)),
        ("identity", PAGE),
        ("deflate, gzip", gzip.compress(zlib.compress(PAGE), mtime=0)),
    ],
)
def test_a_body_is_unchunked_and_unpacked(encoding, packed):
    assert parse_response(stored(packed, Content_Encoding=encoding)).body == PAGE
    both = stored(chunked(packed), Content_Encoding=encoding, Transfer_Encoding="chunked")
    assert parse_response(both).body == PAGE


@pytest.mark.parametrize(
    "fields", [{"Content_Encoding": "gzip"}, {"Content_Encoding": "br"}, {"Transfer_Encoding": "chunked"}]
)
def test_a_body_that_the_crawler_unpacked_already_is_taken_as_it_is(fields):
    assert parse_response(stored(PAGE, **fields)).body == PAGE


def test_heads_of_odd_servers_are_understood():
    odd = parse_response(b"HTTP/1.0 404\nContent-Type:text/html\n  ; charset=euc-kr\nContent-Type: x\nnonsense\n\nbody")
    assert odd == (404, {"content-type": "text/html ; charset=euc-kr"}, b"body")
    assert parse_response(b"HTTP/1.1 204 No Content\r\nA: b").body == b""


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (b"<html>no head</html>", "broken_record"),
        (stored(b"short", Content_Length=500), "broken_record"),
        (stored(chunked(PAGE)[:900], Transfer_Encoding="chunked"), "broken_record"),
        (
            stored(chunked(PAGE).replace(b"64;", b"6z;", 4).replace(b"6z;", b"64;", 1), Transfer_Encoding="chunked"),
            "broken_record",
        ),
        (stored(gzip.compress(PAGE, mtime=0)[:40], Content_Encoding="gzip"), "decode_error"),
        (stored(b"\x1f\x8bgarbage", Content_Encoding="gzip"), "decode_error"),
        (stored(b"\xff\xfegarbage", Content_Encoding="br"), "decode_error"),
    ],
)
def test_what_cannot_be_read_says_why(block, reason):
    with pytest.raises(BadResponse) as error:
        parse_response(block)
    assert error.value.reason == reason


def test_a_bomb_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(response, "MAX_BODY", 1000)
    for encoding, pack in (("gzip", gzip.compress), ("zstd", zstandard.compress)):
        with pytest.raises(BadResponse, match="more than 1000 bytes"):
            parse_response(stored(pack(bytes(100_000)), Content_Encoding=encoding))
