"""An HTTP response as a crawler stored it: status, header fields and the body, unchunked and unpacked."""

import re
import zlib
from typing import NamedTuple

import pyarrow as pa

from operators.storage.base import BROKEN
from operators.storage.frames import HEAD_END, header_fields

MAX_BODY = 2**26  # bytes after unpacking

STATUS = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})")
CHUNK = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")


class Response(NamedTuple):
    status: int
    fields: dict[str, str]  # by lower-case name
    body: bytes


class BadResponse(ValueError):
    """The response cannot be read; `reason` is the word for the reason column."""

    def __init__(self, reason: str, detail: str):
        super().__init__(detail)
        self.reason = reason


def parse_response(block: bytes) -> Response:
    """Take a stored response apart. Raises BadResponse (broken_record, decode_error).

    Crawlers often keep the header fields of the transfer beside a body that they have unchunked or unpacked already;
    such a body is taken as it is.
    """
    status = STATUS.match(block)
    if status is None:
        raise BadResponse(BROKEN, "it has no HTTP status line")
    end = HEAD_END.search(block)
    fields = header_fields(block[: end.start()] if end else block)
    body = block[end.end() :] if end else b""
    if "chunked" in fields.get("transfer-encoding", "").lower():
        body = _unchunked(body)
    elif (declared := fields.get("content-length", "")).isdecimal() and len(body) < int(declared):
        raise BadResponse(BROKEN, f"its body has {len(body)} of {declared} bytes")
    for encoding in reversed(fields.get("content-encoding", "").lower().split(",")):
        body = _unpacked(body, encoding.strip())
    return Response(int(status[1]), fields, body)


def _unchunked(body: bytes) -> bytes:
    parts, at = [], 0
    while chunk := CHUNK.match(body, at):
        size, begin = int(chunk[1], 16), chunk.end()
        if size == 0:
            return b"".join(parts)
        parts.append(body[begin : begin + size])
        at = begin + size
        at += 2 if body[at : at + 2] == b"\r\n" else 1
    if not parts:
        return body
    raise BadResponse(BROKEN, f"its chunks break at byte {at} of {len(body)}")


def _unpacked(body: bytes, encoding: str) -> bytes:
    try:
        if encoding in ("gzip", "x-gzip") and body.startswith(b"\x1f\x8b"):
            return _inflated(body, 31)
        if encoding == "deflate" and not body.lstrip().startswith(b"<"):
            return _inflated(body, zlib.MAX_WBITS if body[:1] == b"\x78" else -zlib.MAX_WBITS)
        if encoding == "br" and not body.lstrip().startswith(b"<"):
            return _streamed(body, "brotli")
        if encoding == "zstd" and body.startswith(b"\x28\xb5\x2f\xfd"):
            return _streamed(body, "zstd")
    except (zlib.error, OSError, EOFError) as error:
        raise BadResponse("decode_error", f"{encoding}: {error}") from error
    return body


def _inflated(body: bytes, wbits: int) -> bytes:
    inflater = zlib.decompressobj(wbits)
    return _bounded(inflater.decompress(body, MAX_BODY + 1), inflater.eof)


def _streamed(body: bytes, codec: str) -> bytes:
    return _bounded(pa.CompressedInputStream(pa.BufferReader(body), codec).read(MAX_BODY + 1), True)


def _bounded(body: bytes, whole: bool) -> bytes:
    if len(body) > MAX_BODY:
        raise BadResponse("decode_error", f"its body unpacks to more than {MAX_BODY} bytes")
    if not whole:
        raise EOFError("the packed body ends too early")
    return body
