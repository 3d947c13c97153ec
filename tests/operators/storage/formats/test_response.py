import gzip
import zlib

import pyarrow as pa
import pytest
import zstandard

from operators.storage.formats import response
from operators.storage.formats.response import BadResponse, parse_response

PAGE = b"<html><body>" + b"page " * 500 + b"</body></html>"
PACKED = gzip.compress(PAGE, mtime=0)


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


def test_a_body_of_several_members_is_whole():
    half = len(PAGE) // 2
    for pack in (gzip.compress, zstandard.compress):
        packed = pack(PAGE[:half]) + pack(PAGE[half:])
        encoding = "gzip" if pack is gzip.compress else "zstd"
        assert parse_response(stored(packed, Content_Encoding=encoding)).body == PAGE
    assert parse_response(stored(gzip.compress(PAGE) + b"\0\0junk", Content_Encoding="gzip")).body == PAGE


@pytest.mark.parametrize(
    ("fields", "packed"),
    [
        (b"Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n", PACKED),
        (b"Content-Encoding: gzip, gzip\r\n", gzip.compress(PACKED, mtime=0)),
        (b"Content-Encoding: br\r\ncontent-encoding: identity\r\n", pa.Codec("brotli").compress(PAGE, asbytes=True)),
        (b"Content-Encoding: br, br\r\n", pa.Codec("brotli").compress(PAGE, asbytes=True)),
        (b"Content-Encoding: deflate\r\n", zlib.compress(PAGE, wbits=9)),
        (b"Content-Encoding: br\r\n", PACKED),
        (b"Content-Encoding: utf-8\r\n", zstandard.compress(PAGE)),
        (b"", PACKED),
        (b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", chunked(PACKED)),
        (b"Content-Length: 9999999\r\n", PACKED),
        (b"Content-Length: 5\r\nContent-Length: 5\r\n", PAGE),
        (b"Content-Length: 99999, 1\r\n", PAGE),
    ],
    ids=range(12),  # the same in each process that tests
)
def test_repeated_listed_and_false_header_fields_do_no_harm(fields, packed):
    assert parse_response(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n" + packed).body == PAGE


def test_a_body_without_its_end_is_kept_where_the_page_is_there():
    whole = chunked(PAGE)
    for lacking in (2, 5, 6, 7):  # the last line, the last chunk, and the end of the chunk before
        assert parse_response(stored(whole[:-lacking], Transfer_Encoding="chunked")).body == PAGE
    plain = chunked(b"a text that is no page")
    assert parse_response(stored(plain[:-5], Transfer_Encoding="chunked")).body == b"a text that is no page"
    long = PAGE + b"\n<!-- 0.2 s -->"
    assert parse_response(stored(long, Content_Length=len(long) + 9)).body == long
    assert parse_response(stored(chunked(long)[:-15], Transfer_Encoding="chunked")).body.startswith(PAGE)
    assert parse_response(stored(gzip.compress(long)[:-4], Content_Encoding="gzip")).body == long
    packed = chunked(gzip.compress(PAGE))
    assert parse_response(stored(packed[:-9], Transfer_Encoding="chunked", Content_Encoding="gzip")).body == PAGE


def test_heads_of_odd_servers_are_understood():
    odd = parse_response(b"HTTP/1.0 404\nContent-Type:text/html\n  ; charset=euc-kr\nContent-Type: x\nnonsense\n\nbody")
    assert odd == (404, {"content-type": "text/html ; charset=euc-kr, x"}, b"body")
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
