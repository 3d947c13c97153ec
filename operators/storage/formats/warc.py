"""WARC, WET and ARC files: every captured document is a row, its main text or the reason why it has none."""

import re
from collections.abc import Iterator
from typing import BinaryIO, ClassVar

from operators.storage.base import BROKEN, CORRUPT, Split
from operators.storage.compression import Gap, blocks
from operators.storage.config import ID, InputConfig
from operators.storage.formats.base import Damage, Record, Row, WrongFormat, require_id_of
from operators.storage.formats.jsonl import as_record, compact
from operators.storage.formats.line_records import text_row
from operators.storage.formats.media_type import media_type
from operators.storage.formats.response import BadResponse, parse_response
from operators.storage.frames import ARC, ARC_START, MAX_BLOCK, WARC, WARC_START, Frame, RecordHead, frames
from operators.storage.packing import bare_name
from operators.storage.sniff import foreign
from operators.storage.window import Window
from operators.text.extract import NoText, decode, extract
from operators.text.extract.base import DEFAULT, ExtractConfig

DOCUMENTS = ("response", "resource", "conversion")  # the kinds of record that are documents
BESIDE = ("warcinfo", "request", "metadata", "revisit", "continuation", "filedesc")  # the kinds that are none
KIND = re.compile(r"[\w.-]+")
HTML = ("text/html", "application/xhtml+xml")
TEXT_SHARE = 8  # a page has about this many bytes for one of text
HEAD = 2**12  # bytes


class Warc:
    endings = (".warc", ".arc", ".wet")
    magic: ClassVar = {b"WARC/": "WARC", b"filedesc://": "ARC"}
    divisible = False

    def __init__(self, split: Split, config: InputConfig, extract: ExtractConfig = DEFAULT):
        self.file, self.config, self.extract = split.file, config, extract
        self.name, self.whole, self.has_ids = split.file.name, config.text_column is None, config.id_column == ID

    def records(self, handle: BinaryIO) -> Iterator[Record]:
        """Yield a record per document; its position is an offset in the unpacked file. Damage costs what it hits."""
        window = Window(blocks(handle, self.name))
        window.fill(HEAD)
        named_arc = bare_name(self.name).endswith(".arc")
        is_arc = window.match(ARC_START) or (named_arc and not window.match(WARC_START))
        for frame in frames(window, ARC if is_arc else WARC):
            if frame.head is None:
                yield Record(frame.position, 0, Damage(CORRUPT, f"at byte {frame.position}: {frame.error}"))
            elif frame.head.kind in DOCUMENTS:
                weight = len(frame.block or b"") // (1 if frame.head.kind == "conversion" else TEXT_SHARE)
                yield Record(frame.position, weight, self._payload(frame))
                if frame.gap is not None:
                    detail = f"at byte {frame.gap}, after a record that broke: {frame.error}"
                    yield Record(frame.gap, 0, Damage(CORRUPT, detail))
            elif frame.torn or (frame.error and frame.head.kind not in BESIDE) or not KIND.fullmatch(frame.head.kind):
                kind, error = frame.head.kind or "nameless", frame.error or "its kind is none"
                yield Record(
                    frame.position, 0, Damage(CORRUPT, f"in the {kind} record at byte {frame.position}: {error}")
                )

    def row(self, payload: Frame) -> Row:
        row = self._read(payload)
        row = as_record(row) if self.whole else row
        return row if self.has_ids else row._replace(id=None)

    def _read(self, frame: Frame) -> Row:
        head, block = frame.head, frame.block
        is_http = head.kind == "response" and (head.mime.startswith("application/http") or head.url.startswith("http"))
        type, body = head.mime, block
        if is_http:
            try:
                response = parse_response(block)
            except BadResponse as error:
                return _rejected(head, error.reason, str(error))
            type, body = response.fields.get("content-type", ""), response.body
            if not 200 <= response.status < 300:
                return _rejected(head, "http_status", str(response.status), type)
        return _document(head, type, body, self.extract)

    def _payload(self, frame: Frame) -> Frame | Row | Damage:
        lost = _lost(frame)
        return frame if lost is None else lost if self.has_ids else lost._replace(id=None)

    def check(self, handle: BinaryIO) -> bool:
        head = next(iter(blocks(handle, self.name)), b"")
        if isinstance(head, Gap) or not head:
            return False
        head = head.lstrip()
        if WARC_START.match(head) or ARC_START.match(head):
            require_id_of(self.file, self.config, "WARC-Record-ID")
            return True
        raise WrongFormat(f"begins like {foreign(head) or repr(head[:40])}, not like WARC or ARC")


def _lost(frame: Frame) -> Row | Damage | None:
    """Say why a record has no block that can be read, null where it has one."""
    head = frame.head
    if frame.torn:
        return Damage(BROKEN, _detail(head, frame.error), head.id)
    if frame.error:
        return _rejected(head, BROKEN, frame.error)
    if frame.block is None:
        return _rejected(head, "too_large", f"it has {head.length} bytes, {MAX_BLOCK} are read at the most")
    return None


def _document(head: RecordHead, type: str, body: bytes, by: ExtractConfig) -> Row:
    """Return the row of a captured document of the media type that its header field `type` tells."""
    mime, charset = media_type(type)
    if mime == "text/plain":
        try:
            text = body.decode() if head.kind == "conversion" else decode(body, charset)
        except UnicodeDecodeError as error:
            return _rejected(head, "invalid_utf8", f"at byte {error.start} of the text: {error.reason}", type)
        return text_row(text, head.id, _metadata(head, mime))
    if mime not in HTML and (mime or not body.lstrip().startswith(b"<")):
        return _rejected(head, "not_html", mime or "no media type", type)
    try:
        text = extract(body, charset, by.by)
    except NoText as cause:
        return _rejected(head, cause.reason, str(cause), type)
    if text is None:
        return _rejected(head, "no_main_text", None, type)
    return text_row(text, head.id, _metadata(head, mime))


def _rejected(head: RecordHead, reason: str, cause: str | None, type: str = "") -> Row:
    return Row(head.id, None, _metadata(head, media_type(type).mime), reason, _detail(head, cause))


def _detail(head: RecordHead, cause: str | None) -> str:
    place = " of ".join(part for part in (head.id, head.url) if part)
    return f"{cause}; {place}" if cause else place


def _metadata(head: RecordHead, mime: str) -> str:
    return compact({"url": head.url, "date": head.date, "mime": mime or None})
