"""An HTTP response as a crawler stored it: status, header fields and the body, unchunked and unpacked."""

import re
import zlib
from typing import NamedTuple

import pyarrow as pa

from operators.storage.base import BROKEN
from operators.storage.frames import HEAD_END, LENGTH, header_fields

MAX_BODY = 2**26  # bytes after unpacking
LAYERS = 3  # of packing that no header field tells, at the most

STATUS = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})")
CHUNK = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
CUT_END = re.compile(rb"[\r\n]*0*[\r\n]*\Z")  # of the last, empty chunk
PAGE_END = re.compile(rb"</(?:html|body)\s*>", re.IGNORECASE)
TAIL = 2**10  # bytes in which a page is closed
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class Response(NamedTuple):
    status: int
    fields: dict[str, str]  # by lower-case name; of a repeated one all values, with commas between
    body: bytes


class BadResponse(ValueError):
    """The response cannot be read; `reason` is the word for the reason column."""

    def __init__(self, reason: str, detail: str):
        super().__init__(detail)
        self.reason = reason


Torn = BadResponse | None  # what is wrong with a body of which the end lacks


def parse_response(block: bytes) -> Response:
    """Take a stored response apart. Raises BadResponse (broken_record, decode_error).

    Crawlers often keep the header fields of the transfer beside a body that they have unchunked or unpacked already;
    such a body is taken as it is, and so is one that lacks its end where the page in it is closed all the same.
    """
    status = STATUS.match(block)
    if status is None:
        raise BadResponse(BROKEN, "it has no HTTP status line")
    end = HEAD_END.search(block)
    fields = header_fields(block[: end.start()] if end else block, joined=True)
    body, torn = block[end.end() :] if end else b"", None
    declared = {part.strip() for part in fields.get("content-length", "").split(",")}
    if "chunked" in fields.get("transfer-encoding", "").lower():
        body, torn = _unchunked(body)
    elif len(declared) == 1 and LENGTH.fullmatch(size := declared.pop()) and len(body) < int(size):
        torn = BadResponse(BROKEN, f"its body has {len(body)} of {size} bytes")
    listed = [encoding.strip() for encoding in fields.get("content-encoding", "").lower().split(",")]
    for encoding in [*reversed(listed), *[""] * LAYERS]:
        body, torn = _unpacked(body, encoding, torn)
    if torn and not PAGE_END.search(body[-TAIL:]):
        raise torn
    return Response(int(status[1]), fields, body)


def _unchunked(body: bytes) -> tuple[bytes, Torn]:
    """Join the chunks. Without the last, empty one all may be there; nothing tells of more."""
    parts, at, lacking = [], 0, 0
    while chunk := CHUNK.match(body, at):
        size, begin = int(chunk[1], 16), chunk.end()
        if size == 0:
            return b"".join(parts), None
        parts.append(body[begin : begin + size])
        at = begin + size
        lacking = max(0, at - len(body))
        at += 2 if body[at : at + 2] == b"\r\n" else 1
    if not parts:
        return body, None
    if lacking:
        return b"".join(parts), BadResponse(BROKEN, f"its last chunk lacks {lacking} bytes")
    if CUT_END.match(body, min(at, len(body))):
        return b"".join(parts), None
    return b"".join(parts), BadResponse(BROKEN, f"its chunks break at byte {at} of {len(body)}")


def _unpacked(body: bytes, encoding: str, torn: Torn) -> tuple[bytes, Torn]:
    """Unpack a body: gzip and Zstandard where its first bytes tell them, all else where the header field names it.

    What unpacks to its end is whole, whatever the transfer lacked.
    """
    try:
        if body.startswith(GZIP):
            body, whole = _inflated(body, 31)
        elif body.startswith(ZSTD):
            body, whole = _streamed(body, "zstd")
        elif encoding == "deflate" and not body.lstrip().startswith(b"<"):
            body, whole = _deflated(body)
        elif encoding == "br" and not body.lstrip().startswith(b"<"):
            body, whole = _streamed(body, "brotli")
        else:
            return body, torn
    except (zlib.error, OSError) as error:
        raise BadResponse("decode_error", f"{encoding or 'packed body'}: {error}") from error
    if len(body) > MAX_BODY:
        raise BadResponse("decode_error", f"its body unpacks to more than {MAX_BODY} bytes")
    return body, None if whole else torn or BadResponse("decode_error", f"{encoding}: the packed body ends too early")


def _inflated(body: bytes, wbits: int) -> tuple[bytes, bool]:
    """Unpack all members, and tell whether the last one is whole. What comes after it and is none does not count."""
    parts, room, magic = [], MAX_BODY + 1, body[:3]
    while room > 0:
        inflater = zlib.decompressobj(wbits)
        try:
            parts.append(inflater.decompress(body, room))
        except zlib.error:
            if not parts:
                raise
            return b"".join(parts), False
        room -= len(parts[-1])
        if not inflater.eof:
            return b"".join(parts), False
        body = inflater.unused_data.lstrip(b"\0")
        if wbits != 31 or not body.startswith(magic):
            break
    return b"".join(parts), True


def _deflated(body: bytes) -> tuple[bytes, bool]:
    """Unpack what is called deflate: by the standard with a head, by many servers without."""
    try:
        return _inflated(body, zlib.MAX_WBITS)
    except zlib.error:
        return _inflated(body, -zlib.MAX_WBITS)


def _streamed(body: bytes, codec: str) -> tuple[bytes, bool]:
    parts, size = [], 0
    stream = pa.CompressedInputStream(pa.BufferReader(body), codec)
    try:
        while size <= MAX_BODY and (part := stream.read(2**16)):
            parts.append(part)
            size += len(part)
    except OSError:
        if not parts:
            raise
        return b"".join(parts), False
    return b"".join(parts), True
