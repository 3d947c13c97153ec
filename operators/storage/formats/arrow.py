"""Files of Arrow itself, as `save_to_disk` of the library `datasets` and Feather write them: record batches, one after another.

A file that ends in a footer holds the same stream of batches as one without, and is read on in the same way, so that one which is
cut off gives what it has. Source: Arrow columnar format 1.5, "Serialization and interprocess communication".
"""

from collections.abc import Iterator
from typing import ClassVar

import pyarrow as pa

from operators.storage.base import BROKEN, CORRUPT, MAX_RECORD, Split
from operators.storage.compression import Stream, blocks
from operators.storage.config import InputConfig
from operators.storage.formats.base import Damage, Record, Row, WrongFormat, said
from operators.storage.formats.batch_rows import BatchRows, require_text
from operators.storage.sniff import foreign
from operators.storage.watched import Watched
from operators.text.extract.base import DEFAULT, ExtractConfig

WITH_FOOTER, FOOTER_END = b"ARROW1\0\0", b"ARROW1"
MESSAGE = b"\xff\xff\xff\xff"
ROWS = 4096  # of a batch that are worked on at once
CHUNK = 2**20  # bytes


class Arrow:
    endings = (".arrow", ".arrows", ".feather", ".ipc")
    magic: ClassVar = {FOOTER_END: "an Arrow file", MESSAGE: "a stream of Arrow", b"FEA1": "Feather of version 1"}
    divisible = False

    def __init__(self, split: Split, config: InputConfig, extract: ExtractConfig = DEFAULT):
        self.split, self.config = split, config

    def records(self, handle: Watched) -> Iterator[Record]:
        """Yield a record per row; its position is the row's number. Damage costs all that comes after it."""
        row, stream = 0, Stream(blocks(handle, self.split.file.name))
        try:
            for batch in _batches(stream):
                for begin in range(0, len(batch), ROWS):
                    yield from self._rows(batch.slice(begin, ROWS), row + begin)
                row += len(batch)
        except Exception as error:
            handle.raise_failure()
            broken = stream.gap.error if stream.gap else said(error)
            yield Record(row, 0, Damage(CORRUPT, f"after {row} rows: {broken}"))

    def row(self, payload: tuple[BatchRows, int]) -> Row:
        rows, place = payload
        return rows.row(place)

    def check(self, handle: Watched) -> bool:
        stream = Stream(blocks(handle, self.split.file.name))
        head = stream.read(len(WITH_FOOTER))
        if head and not head.startswith((FOOTER_END, MESSAGE)):
            raise WrongFormat(f"begins like {foreign(head) or repr(head)}, not like Arrow")
        stream.unread(head)
        try:
            schema = _opened(stream).schema
        except Exception:
            handle.raise_failure()
            return False
        require_text(schema, self.split.file, self.config)
        return True

    def _rows(self, batch: pa.RecordBatch, first: int) -> Iterator[Record]:
        """Yield the rows of a part of a batch. Of a broken one each is looked at, because some values would end the process."""
        if not _wrong_with(batch):
            rows = BatchRows(batch, self.config)
            for place, weight in enumerate(rows.weights):
                yield Record(first + place, weight, (rows, place))
            return
        for place in range(len(batch)):
            row = batch.slice(place, 1)
            if wrong := _wrong_with(row):
                yield Record(first + place, 0, Damage(BROKEN, f"row {first + place}: {wrong}"))
            else:
                rows = BatchRows(row, self.config)
                yield Record(first + place, rows.weights[0], (rows, 0))


def _batches(stream: Stream) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a file, and of others that were joined to it. Raises what is wrong with it, ValueError too."""
    head = stream.read(len(WITH_FOOTER))
    while head:
        stream.unread(head)
        yield from _opened(stream)
        if stream.short:
            raise ValueError("the file has no end mark, and may be cut off there")
        if head == WITH_FOOTER:
            _pass_footer(stream)
        head = stream.read(len(WITH_FOOTER))
        if head and not head.startswith((MESSAGE, WITH_FOOTER)):
            raise ValueError("what comes after the end mark is no stream of Arrow")
    if stream.gap:  # which looks like the end of the file, and need not be
        raise ValueError(stream.gap.error)


def _opened(stream: Stream) -> pa.RecordBatchStreamReader:
    head = stream.read(len(WITH_FOOTER))
    if head != WITH_FOOTER:
        stream.unread(head)
    return pa.ipc.open_stream(pa.PythonFile(stream, "r"))


def _pass_footer(stream: Stream) -> None:
    """Read on to the end of a footer, which is told by its length before the mark. Raises ValueError where there is none."""
    footer, at = b"", 0
    while some := stream.read(CHUNK):
        footer += some
        while (at := footer.find(FOOTER_END, at)) >= 0:
            if at >= 4 and int.from_bytes(footer[at - 4 : at], "little") == at - 4:
                stream.unread(footer[at + len(FOOTER_END) :])
                return
            at += 1
        if len(footer) > MAX_RECORD:
            raise ValueError(f"its footer has more than {MAX_RECORD} bytes")
        at = max(0, len(footer) - len(FOOTER_END))
    raise ValueError("the file is cut off in its footer")


def _wrong_with(batch: pa.RecordBatch) -> str | None:
    try:
        batch.validate(full=True)
    except Exception as error:
        return said(error)
