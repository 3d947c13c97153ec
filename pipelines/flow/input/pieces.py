"""The beginning of every pipeline over documents: splits of input files become pieces of documents."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import pyarrow as pa

from operators.storage.base import END, UNREADABLE, CorruptFile, InputFile, Piece, Split
from operators.storage.config import InputConfig, StorageConfig
from operators.storage.formats.base import Row
from operators.storage.reading import STAGE, each, read_documents
from operators.table import DOCUMENTS
from operators.text.extract import ExtractConfig
from pipelines.flow.faults.isolation import Isolation
from pipelines.ledger.spans import START, Spans, Unit, as_span

REMEMBERED_IDS = 1 << 20  # per task, so that memory stays flat
MOST_DEATHS = 5  # of processes that read the same piece, before the file is given up from there on


class Pieces:
    """Read splits piece by piece, of about `piece_bytes` of text, and count what was read."""

    def __init__(
        self, input: InputConfig, storage: StorageConfig, extract: ExtractConfig, piece_bytes: int, isolation: Isolation
    ):
        self.input, self.storage, self.extract, self.piece_bytes = input, storage, extract, piece_bytes
        self.isolation, self.report = isolation, isolation.report

    def of(self, work: Iterable[dict]) -> Iterator[tuple[Split, Spans, list[Unit], Piece]]:
        """Read splits one after the other, up to the limit; what lies behind it is settled as an empty piece."""
        left, seen = self.input.limit, set()
        for item in work:
            split = Split(**item["split"] | {"file": InputFile(**item["split"]["file"])})
            done, redo, begin = Spans(map(as_span, item["done"])), [Unit(*unit) for unit in item["redo"]], START
            # With a limit, documents that are done must be counted too, so they are read again.
            skip = done.positions() if left is None else ()
            for piece in self._read(split, skip) if left != 0 else ():
                if left is not None:
                    piece = Piece(piece.begin, piece.end, piece.documents.slice(0, left))
                    left -= len(piece.documents)
                begin = piece.end
                repeated = _repeated(piece.documents["document_id"].to_pylist(), seen)
                self.report.add({"read": {"repeated_ids": repeated}})
                yield split, done, redo, piece
                if left == 0:
                    break
            if left == 0 and begin < END:
                yield split, done, redo, Piece(begin, END, DOCUMENTS.empty_table())
            self.report.add({"read": {"bytes": split.end - split.begin}})

    def _read(self, split: Split, skip: list[tuple[int, int]]) -> Iterator[Piece]:
        """Read a split piece by piece; from where the process dies again and again, it is given up like a broken file."""
        begin = START

        def rows_of(row: Callable[[Any], Row], payloads: list) -> list[Row]:
            return self.isolation.apply([Decoding(row)], payloads, deaths)

        reading = read_documents(split, self.input, self.storage, skip, self.piece_bytes, rows_of, self.extract)
        with closing(reading) as pieces:
            while begin < END:
                with self.isolation.noted(f"{STAGE}|{split.key}|{begin}") as deaths:
                    piece = next(pieces, None) if deaths < MOST_DEATHS else self._given_up(split.file, begin)
                if piece is None:
                    return
                begin = piece.end
                yield piece

    def _given_up(self, file: InputFile, begin: int) -> Piece:
        detail = f"{MOST_DEATHS} processes died of reading it on from position {begin}"
        if self.input.on_error == "fail":
            raise CorruptFile(f"{file.url} cannot be read: {detail}. input.on_error=reject goes on without it.")
        place = {"document_id": file.name, "source_file": file.name, "position": begin}
        row = dict.fromkeys(DOCUMENTS.names) | place | {"stage": STAGE, "reason": UNREADABLE, "detail": detail}
        return Piece(begin, END, pa.Table.from_pylist([row], DOCUMENTS))


@dataclass(frozen=True)
class Decoding:
    """The format's part of reading, as the work of a stage: from payloads of records to their rows."""

    row: Callable[[Any], Row]
    stage: ClassVar[str] = STAGE

    def prepare(self) -> None:
        pass  # a format is ready once it is made

    def __call__(self, payloads: list) -> list[Row]:
        return each(self.row, payloads)

    def halves(self, payloads: list) -> list[list]:
        middle = len(payloads) // 2
        return [payloads[:middle], payloads[middle:]] if middle else [payloads]

    def rejected(self, payloads: list, reason: str, detail: str) -> list[Row]:
        return [Row(reason=reason, detail=detail) for _ in payloads]

    def joined(self, rows: list[list[Row]]) -> list[Row]:
        return list(chain.from_iterable(rows))


def _repeated(ids: list[str], seen: set[int]) -> int:
    """Count the ids that came before, and remember them: a warning for the user, since equal ids do no harm here."""
    hashes = [hash(id) for id in ids]
    fresh = set(hashes) - seen
    if len(seen) < REMEMBERED_IDS:
        seen |= fresh
    return len(hashes) - len(fresh)
