"""Parquet: a split has the row groups that begin in its byte range, about; the task reads the footer, not the driver.

It is read from its end. A file that is packed as a whole is unpacked first, beyond HELD bytes into a temporary file.
"""

from collections.abc import Iterator
from itertools import accumulate
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from operators.storage.base import BROKEN, CORRUPT, END, UNREADABLE, Split
from operators.storage.compression import Gap, blocks
from operators.storage.config import InputConfig
from operators.storage.formats.base import Damage, Record, Row, WrongFormat, said
from operators.storage.formats.batch_rows import BatchRows, require_text
from operators.storage.packing import packed_how
from operators.storage.sniff import foreign
from operators.storage.watched import Watched
from operators.text.extract.base import DEFAULT, ExtractConfig

BATCH = 8 * 2**20  # bytes of a batch, about
BUFFER = 2**20  # bytes of a column fetched at once
HELD = 2**25  # bytes of an unpacked file that are held in memory
MOST_UNPACKED = 2**34  # bytes of one that a temporary file may have
MOST_ROWS = 2**24  # of a row group that are believed to be lost one by one: a broken footer may tell of any number


class Parquet:
    endings = (".parquet", ".pq")
    magic: ClassVar = {b"PAR1": "parquet", b"PARE": "parquet with an encrypted footer"}
    divisible = True

    def __init__(self, split: Split, config: InputConfig, extract: ExtractConfig = DEFAULT):
        self.split, self.config = split, config

    def records(self, handle: Watched) -> Iterator[Record]:
        """Yield a record per row; its position is the row's number in the file. Damage costs a row group at most.

        What pyarrow raises for broken contents is of many kinds, so that whatever it raises is the file's fault. A packed file
        cannot be cut: its first split has all rows, and damage of its packing costs all.
        """
        if not packed_how(handle, self.split.file.name):
            yield from self._rows(handle, self.split.begin, self.split.end)
        elif self.split.begin == 0:
            with SpooledTemporaryFile(HELD) as unpacked:
                if damage := _unpack(handle, self.split.file.name, unpacked):
                    yield Record(0, 0, damage)
                else:
                    yield from self._rows(Watched(unpacked), 0, END)

    def _rows(self, handle: Watched, first: int, end: int) -> Iterator[Record]:
        """Yield the rows of the groups that begin in a range of the file."""
        try:
            file = _opened(handle)
            groups = [file.metadata.row_group(index) for index in range(file.num_row_groups)]
            rows, sizes = [group.num_rows for group in groups], [group.total_byte_size for group in groups]
            if min(rows, default=0) < 0:
                raise ValueError("a row group has a negative number of rows")
        except Exception as error:
            handle.raise_failure()
            if first == 0:
                yield Record(0, 0, Damage(CORRUPT, f"no footer can be read: {said(error)}"))
            return
        row = 0
        for index, begin in enumerate(_begins(sizes, self.split.file.bytes)):
            if first <= begin < end:
                yield from self._group(file, handle, index, row)
            row += rows[index]
        if file.metadata.num_rows > row and end >= self.split.file.bytes:
            lost = f"the footer tells of {file.metadata.num_rows} rows, and of row groups with {row}"
            yield Record(row, 0, Damage(CORRUPT, lost))

    def _group(self, file: pq.ParquetFile, handle: Watched, index: int, row: int) -> Iterator[Record]:
        group = file.metadata.row_group(index)
        end, error = row + group.num_rows, None
        batch_size = min(max(BATCH * group.num_rows // max(group.total_byte_size, 1), 1), 4096)
        try:
            for batch in file.iter_batches(batch_size, [index], use_threads=False):
                rows = BatchRows(batch.slice(0, end - row), self.config)
                for place, weight in enumerate(rows.weights):
                    yield Record(row + place, weight, (rows, place))
                row += len(rows.batch)
        except Exception as found:
            handle.raise_failure()
            error = said(found)
        yield from _lost(row, end, error or "the row group ends before them")

    def row(self, payload: tuple[BatchRows, int]) -> Row:
        rows, place = payload
        return rows.row(place)

    def check(self, handle: Watched) -> bool:
        if not packed_how(handle, self.split.file.name):
            return self._checked(handle)
        with SpooledTemporaryFile(HELD) as unpacked:
            return not _unpack(handle, self.split.file.name, unpacked) and self._checked(Watched(unpacked))

    def _checked(self, handle: Watched) -> bool:
        handle.seek(0)
        head = handle.read(64)
        handle.seek(0)
        if not head.startswith(tuple(self.magic)) and (kind := foreign(head) or _as_text(head)):
            raise WrongFormat(f"begins like {kind}, not like parquet")
        try:
            schema = _opened(handle).schema_arrow
        except Exception:
            handle.raise_failure()
            return False
        require_text(schema, self.split.file, self.config)
        return True


def _unpack(handle: BinaryIO, name: str, to: BinaryIO) -> Damage | None:
    """Unpack a file into another; return why that cannot be done. Errors of the storage and of the disk pass through."""
    for part in blocks(handle, name):
        if isinstance(part, Gap):
            return Damage(CORRUPT, f"it cannot be unpacked, at byte {to.tell()} of its contents: {part.error}")
        to.write(part)
        if to.tell() > MOST_UNPACKED:
            return Damage(UNREADABLE, f"it has more than {MOST_UNPACKED} bytes unpacked: give it unpacked")
    return None


def _begins(sizes: list[int], bytes: int) -> list[int]:
    """Give about where each row group begins in a file of so many bytes, by the sizes of those before it.

    Not by what the footer says of its columns: pyarrow ends the process where that is broken, and a place outside of the file
    would be in no split.
    """
    ends = list(accumulate(max(size, 0) for size in sizes))
    return [bytes * before // (ends[-1] + 1) for before in [0, *ends][: len(sizes)]]


def _opened(handle: Watched) -> pq.ParquetFile:
    return pq.ParquetFile(pa.PythonFile(handle, "r"), buffer_size=BUFFER, pre_buffer=False)


def _lost(begin: int, end: int, error: str) -> Iterator[Record]:
    """Tell of rows that cannot be read, of each by itself."""
    if end - begin > MOST_ROWS:
        yield Record(begin, 0, Damage(CORRUPT, f"rows {begin} to {end - 1} are lost, as the footer counts: {error}"))
        return
    for row in range(begin, end):
        yield Record(row, 0, Damage(BROKEN, f"row {row} of rows {begin} to {end - 1}, which are lost: {error}"))


def _as_text(head: bytes) -> str | None:
    try:
        return f"text ({head.decode()!r})" if head else None
    except UnicodeDecodeError:
        return None
