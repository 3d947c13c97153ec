"""Plain text: one document per line."""

from collections.abc import Iterator
from typing import BinaryIO

from operators.storage.base import Split
from operators.storage.config import InputConfig
from operators.storage.formats.base import Record, Row
from operators.storage.formats.line_records import line_records
from operators.storage.formats.text import PlainText
from operators.text.extract.base import DEFAULT, ExtractConfig


class Lines(PlainText):
    divisible = True

    def __init__(self, split: Split, config: InputConfig, extract: ExtractConfig = DEFAULT):
        super().__init__(split, config, extract)
        self.split = split

    def records(self, handle: BinaryIO) -> Iterator[Record]:
        return line_records(handle, self.split)

    def row(self, payload: tuple[int, bytes]) -> Row:
        position, line = payload
        return super().row((position, line.removesuffix(b"\r")))
