"""Plain text: one document per file."""

from collections.abc import Iterator
from typing import BinaryIO, ClassVar

from operators.storage.base import BROKEN, MAX_RECORD, Split
from operators.storage.compression import Gap, blocks
from operators.storage.config import InputConfig
from operators.storage.formats.base import Damage, Record, Row, WrongFormat, require_id_of
from operators.storage.formats.jsonl import as_record
from operators.storage.formats.line_records import BOM, not_utf8, text_row
from operators.storage.sniff import foreign
from operators.text.extract.base import DEFAULT, ExtractConfig


class PlainText:
    endings = (".txt",)
    magic: ClassVar = {}
    divisible = False

    def __init__(self, split: Split, config: InputConfig, extract: ExtractConfig = DEFAULT):
        self.file, self.config = split.file, config
        self.name, self.whole = split.file.name, config.text_column is None

    def records(self, handle: BinaryIO) -> Iterator[Record]:
        """Yield the file as one record at position 0. Half a file, before damage, is no document."""
        parts, size = [], 0
        for block in blocks(handle, self.name):
            if isinstance(block, Gap):
                yield Record(0, 0, Damage(BROKEN, f"at byte {size} of the unpacked file: {block.error}"))
                return
            parts.append(block)
            size += len(block)
            if size > MAX_RECORD:
                detail = f"the file has more than {MAX_RECORD} bytes; input.format=lines reads it line by line"
                yield Record(0, 0, Row(reason="too_large", detail=detail))
                return
        yield Record(0, size, (0, b"".join(parts).removeprefix(BOM)))

    def row(self, payload: tuple[int, bytes]) -> Row:
        position, content = payload
        try:
            row = text_row(content.decode())
            return as_record(row) if self.whole else row
        except UnicodeDecodeError as error:
            return not_utf8(error, position)

    def check(self, handle: BinaryIO) -> bool:
        head = next(blocks(handle, self.name), b"")
        if isinstance(head, Gap) or not head:
            return False
        if kind := foreign(head):
            raise WrongFormat(f"begins like {kind}, not like UTF-8 text")
        require_id_of(self.file, self.config)
        return True
