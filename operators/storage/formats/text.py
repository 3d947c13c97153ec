"""Plain text: one document per file (`text`), or one per line (`lines`)."""

from collections.abc import Iterator
from typing import BinaryIO

from operators.storage.base import MAX_RECORD, InputConfig, Split
from operators.storage.compression import Gap, blocks
from operators.storage.formats.base import Damage, Record, Row, WrongFormat
from operators.storage.formats.jsonl import as_record
from operators.storage.formats.lines import BOM, line_records, not_utf8, text_row
from operators.storage.sniff import foreign


class Text:
    endings = (".txt",)
    divisible = False

    def __init__(self, split: Split, config: InputConfig):
        self.name, self.whole = split.file.name, config.text_column is None

    def records(self, handle: BinaryIO) -> Iterator[Record]:
        """Yield the file as one record at position 0. Half a file, before damage, is no document."""
        parts, size = [], 0
        for block in blocks(handle, self.name):
            if isinstance(block, Gap):
                yield Record(0, 0, Damage("corrupt_file", f"at byte {size} of the unpacked file: {block.error}"))
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
        return True


class Lines(Text):
    divisible = True

    def __init__(self, split: Split, config: InputConfig):
        super().__init__(split, config)
        self.split = split

    def records(self, handle: BinaryIO) -> Iterator[Record]:
        return line_records(handle, self.split)

    def row(self, payload: tuple[int, bytes]) -> Row:
        position, line = payload
        return super().row((position, line.removesuffix(b"\r")))
