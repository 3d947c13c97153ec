"""From a split to pieces of documents, the same ones at every reading."""

import errno
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from hashlib import blake2b
from typing import Any

import pyarrow as pa

from operators.errors import BadRequest, StorageFailure
from operators.storage.base import END, PIECE_BYTES, UNCOUNTED, UNREADABLE, CorruptFile, InputFile, Piece, Split
from operators.storage.config import InputConfig, StorageConfig
from operators.storage.filesystem import open_reading
from operators.storage.formats.base import Damage, Format, Record, Row, WrongFormat, said
from operators.storage.partitions import partition_of, with_partition
from operators.storage.registry import FORMATS, reader_of
from operators.storage.sniff import is_pointer
from operators.storage.watched import Watched
from operators.table import DOCUMENTS
from operators.text.extract.base import DEFAULT, ExtractConfig, ExtractorFailure

STAGE = "read"
ROW_BYTES = 64  # what a row counts for beside its text, so that many empty ones make pieces too
SAMPLED_FILES = 32

# What is the one file's fault, definitely. What speaks of credentials, clock or bucket is a StorageRefusal (storage/s3.py).
THE_FILES_FAULT = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
NOT_FETCHED = "it is a pointer of Git LFS, and the file that it stands for is not there: `git lfs pull` fetches it"
BROKEN_LINKS = (errno.ELOOP, errno.ENAMETOOLONG)
# What no file and no record can be blamed for, whatever was being read.
NO_FILES_FAULT = (BadRequest, StorageFailure, CorruptFile, ExtractorFailure, ImportError)


def check_input(files: list[InputFile], config: InputConfig, storage: StorageConfig) -> None:
    """Look for a file that can be read among the first.

    Raises BadRequest where there is none, and of one or more the format is wrong or a column is missing.
    """
    wrong = []
    for file in files[:SAMPLED_FILES]:
        try:
            if _reads(file, config, storage):
                return
        except WrongFormat as error:
            formats = f"Set input.format to one of: {', '.join(FORMATS)}."
            wrong.append(BadRequest(f"{file.url}, read as {file.format}, {error}. {formats}"))
        except BadRequest as error:
            wrong.append(error)
    if wrong:
        raise wrong[0]


def _reads(file: InputFile, config: InputConfig, storage: StorageConfig) -> bool:
    """Tell whether documents can be read from a file; whatever it does to its reader, the run will tell of it."""
    try:
        handle = open_reading(file.url, storage)
    except OSError as error:
        if not _is_the_files_fault(error):
            raise
        return False
    with handle:
        watched = Watched(handle)
        if is_pointer(watched, file.bytes):
            raise BadRequest(f"{file.url} cannot be read: {NOT_FETCHED}.")
        try:
            return reader_of(file.format)(Split(file, 0, max(file.bytes, 1)), config).check(watched)
        except (WrongFormat, *NO_FILES_FAULT):
            raise
        except Exception:
            watched.raise_failure()
            return False


def _is_the_files_fault(error: OSError) -> bool:
    return isinstance(error, THE_FILES_FAULT) or error.errno in BROKEN_LINKS


RowsOf = Callable[[Callable[[Any], Row], list[Any]], list[Row]]  # from Format.row and payloads to their rows


def each(row: Callable[[Any], Row], payloads: list[Any]) -> list[Row]:
    """Give the rows of payloads; one of which `row` raises costs that one."""
    return [_attempted(row, payload) for payload in payloads]


def _attempted(row: Callable[[Any], Row], payload: Any) -> Row:
    try:
        return row(payload)
    except NO_FILES_FAULT:
        raise
    except Exception as error:
        return Row(reason="error", detail=said(error))


def read_documents(
    split: Split,
    config: InputConfig,
    storage: StorageConfig,
    done: Sequence[tuple[int, int]] = (),
    piece_bytes: int = PIECE_BYTES,
    rows_of: RowsOf = each,
    extract: ExtractConfig = DEFAULT,
) -> Iterator[Piece]:
    """Yield the pieces of a split that are not done yet, in order.

    The pieces of a split tile [0, END): a piece begins where the one before it ended. It gathers documents up to about
    `piece_bytes` bytes of text; its borders depend on the file and the config alone. `done` holds sorted intervals of
    positions; what lies inside of them is passed over without being decoded. `rows_of` applies the format's `row` to the
    payloads of a piece; `extract` says how web pages are read. A record without a text is a row with stage "read" and a reason.
    Raises CorruptFile for a broken file where `config.on_error` is "fail". Errors of the storage, StorageFailure among them, pass
    through; whatever else a reader raises costs the rest of the split, and says so in a row.
    """
    finished = _merged(done)
    reader = reader_of(split.file.format)(split, config, extract)
    with closing(_records(reader, split, storage)) as records:
        for begin, end, gathered in _gathered(records, piece_bytes):
            if not _inside(begin, end, finished):
                rows = _rows(gathered, rows_of, reader, split.file, config)
                yield Piece(begin, end, _table(gathered, rows, split.file))


def _records(reader: Format, split: Split, storage: StorageConfig) -> Iterator[Record]:
    try:
        handle = open_reading(split.file.url, storage, version=split.file.version)
    except OSError as error:
        if not _is_the_files_fault(error):
            raise
        yield Record(split.begin, 0, Damage(UNREADABLE, str(error)))  # for each split: others may have been read before
        return
    last = None
    with handle:
        watched = Watched(handle)
        if is_pointer(watched, split.file.bytes):
            yield Record(split.begin, 0, Damage(UNREADABLE, NOT_FETCHED))
            return
        try:
            for record in reader.records(watched):
                last = record.position
                yield record
        except NO_FILES_FAULT:
            raise
        except Exception as error:
            watched.raise_failure()
            position = split.begin if last is None else last + 1
            yield Record(position, 0, Damage(UNREADABLE, f"from position {position} on: {said(error)}"))


def _gathered(records: Iterable[Record], piece_bytes: int) -> Iterator[tuple[int, int, list[Record]]]:
    """Group records into (begin, end, records). Without records there is one group: it too can be recorded as done."""
    begin, gathered, weight = 0, [], 0
    for record in records:
        if gathered and weight + record.weight > piece_bytes:
            yield begin, record.position, gathered
            begin, gathered, weight = record.position, [], 0
        gathered.append(record)
        weight += record.weight + ROW_BYTES
    yield begin, END, gathered


def _rows(records: list[Record], rows_of: RowsOf, reader: Format, file: InputFile, config: InputConfig) -> list[Row]:
    """Give the row of every record, with an id."""
    unfinished = [record.payload for record in records if not isinstance(record.payload, Row | Damage)]
    made = iter(rows_of(reader.row, unfinished))
    rows = [_finished(record.payload, made, file, config) for record in records]
    rows = [
        row if row.id else row._replace(id=made_id(file.name, record.position, row.text))
        for record, row in zip(records, rows, strict=True)
    ]
    partition, whole = partition_of(file), config.text_column is None
    return [with_partition(row, partition, whole) for row in rows] if partition else rows


def _finished(payload: Any, made: Iterator[Row], file: InputFile, config: InputConfig) -> Row:
    """Give the row of a record, which is the next of those that were made unless it needed no work."""
    if isinstance(payload, Damage):
        reason, detail, id = payload
        if config.on_error == "fail":
            raise CorruptFile(f"{file.url} is broken ({reason}): {detail}. input.on_error=reject goes on without it.")
        return Row(id or (file.name if reason in UNCOUNTED else None), reason=reason, detail=detail)
    return payload if isinstance(payload, Row) else next(made)


def _table(records: list[Record], rows: list[Row], file: InputFile) -> pa.Table:
    ids, texts, metadata, reasons, details = zip(*rows, strict=True) if rows else [()] * 5
    columns = {
        "document_id": ids,
        "text": texts,
        "metadata": metadata,
        "source_file": [file.name] * len(rows),
        "position": [record.position for record in records],
        "stage": [reason and STAGE for reason in reasons],
        "reason": reasons,
        "detail": details,
    }
    return pa.table({name: pa.array(values, DOCUMENTS.field(name).type) for name, values in columns.items()}, DOCUMENTS)


def made_id(name: str, position: int, text: str | None) -> str:
    """Make the id of a document that has none, from its place and its text: 32 hexadecimal digits."""
    return blake2b(f"{name}\0{position}\0{text or ''}".encode(), digest_size=16).hexdigest()


def _merged(done: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join intervals that touch."""
    merged = []
    for begin, end in done:
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _inside(begin: int, end: int, intervals: list[tuple[int, int]]) -> bool:
    at = bisect_right(intervals, (begin, END)) - 1
    return at >= 0 and intervals[at][0] <= begin and end <= intervals[at][1]
