"""The first stage of every pipeline over documents: splits of input files become work orders."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, astuple, dataclass
from functools import lru_cache, partial
from itertools import chain
from typing import Any, ClassVar

import pyarrow as pa

from operators.chunk import Chunk, ChunkConfig
from operators.fan_out import FanOut
from operators.storage.base import END, UNREADABLE, CorruptFile, InputConfig, InputFile, Piece, Row, Split
from operators.storage.filesystem import StorageConfig
from operators.storage.reading import STAGE, read_documents
from operators.table import DOCUMENTS, rewrites
from operators.tokenizer import approximate_tokenizer, load_tokenizer
from pipelines.isolation import Isolation
from pipelines.order import REQUESTS, START, Order, Spans, Unit, as_span, shared_out, wanted
from pipelines.records import State
from pipelines.sparing import TableWork

REMEMBERED_IDS = 1 << 20  # per task, so that memory stays flat
BYTES_PER_TOKEN = 4  # of text, roughly; only sizes the pieces in which a file is read
MOST_DEATHS = 5  # of processes that read the same piece, before the file is given up from there on


def split_rows(splits: list[Split], state: State, limit: int | None) -> list[dict]:
    """Write down what is left to do of the input, as plain JSON: a row for each split that is not done yet.

    With a limit, all splits stand in one row: which documents come first is known only by reading them in order.
    """
    todo = [(split, state.done.get(split.key, Spans())) for split in splits]
    work = [
        {"split": asdict(split), "done": done.spans, "redo": state.redo.get(split.key, [])}
        for split, done in todo
        if limit is not None or not done.complete
    ]
    if limit is not None:
        return [{"work": json.dumps(work)}] if not all(done.complete for _, done in todo) else []
    return [{"work": json.dumps([item])} for item in work]


class ReadOrders:
    """Read splits and cut their documents into orders: read -> chunk -> fan out -> cut."""

    def __init__(
        self,
        input: InputConfig,
        storage: StorageConfig,
        chunk: ChunkConfig,
        fan_out: FanOut,
        cut: Callable[[str, int, int, pa.Table], Iterable[Order]],
        isolation: Isolation,
    ):
        self.input, self.storage, self.chunk, self.fan_out = input, storage, chunk, fan_out
        self.cut, self.isolation, self.report = cut, isolation, isolation.report

    def __call__(self, rows: pa.Table) -> Iterator[pa.Table]:
        cutting = TableWork("chunk", partial(requests_of, self.chunk, self.fan_out))
        seen: set[int] = set()
        with self.report.explaining():
            work = (item for row in rows["work"].to_pylist() for item in json.loads(row))
            for split, done, redo, piece in self._pieces(work):
                requests = self.isolation.run([cutting], f"{split.key}|{piece.begin}", piece.documents)
                self.report.add({"read": {"repeated_ids": _repeated(piece.documents["document_id"].to_pylist(), seen)}})
                for order in self.cut(split.key, piece.begin, piece.end, requests):
                    for rest in _rest(order, done, redo):
                        self.report.add({"read": {"requests": int(rewrites(rest.rows).sum())}})
                        yield rest.to_block()

    def _pieces(self, work: Iterable[dict]) -> Iterator[tuple[Split, Spans, list[Unit], Piece]]:
        """Read splits one after the other, up to the limit; what lies behind it is settled as an empty piece."""
        left = self.input.limit
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
                yield split, done, redo, piece
                if left == 0:
                    break
            if left == 0 and begin < END:
                yield split, done, redo, Piece(begin, END, DOCUMENTS.empty_table())
            self.report.add({"read": {"bytes": split.end - split.begin}})

    def _read(self, split: Split, skip: list[tuple[int, int]]) -> Iterator[Piece]:
        """Read a split piece by piece; from where the process dies again and again, it is given up like a broken file."""
        piece_bytes = REQUESTS * self.chunk.max_tokens * BYTES_PER_TOKEN // len(self.fan_out.styles)
        begin = START

        def rows_of(row: Callable[[Any], Row], payloads: list) -> list[Row]:
            return self.isolation.apply([Decoding(row)], payloads, deaths)

        with closing(read_documents(split, self.input, self.storage, skip, piece_bytes, rows_of)) as pieces:
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
        return [self.row(payload) for payload in payloads]

    def halves(self, payloads: list) -> list[list]:
        middle = len(payloads) // 2
        return [payloads[:middle], payloads[middle:]] if middle else [payloads]

    def rejected(self, payloads: list, reason: str, detail: str) -> list[Row]:
        return [Row(reason=reason, detail=detail) for _ in payloads]

    def joined(self, rows: list[list[Row]]) -> list[Row]:
        return list(chain.from_iterable(rows))


def requests_of(config: ChunkConfig, fan_out: FanOut) -> Callable[[pa.Table], pa.Table]:
    """Give what makes requests of documents: chunk -> fan out."""
    chunk = _chunk(*astuple(config))
    return lambda documents: fan_out(documents, chunk(documents))


@lru_cache(maxsize=4)
def _chunk(*settings: Any) -> Chunk:
    config = ChunkConfig(*settings)
    return Chunk(config, _tokenizer(config.tokenizer))


def _repeated(ids: list[str], seen: set[int]) -> int:
    """Count the ids that came before, and remember them: a warning for the user, since equal ids do no harm here."""
    hashes = [hash(id) for id in ids]
    fresh = set(hashes) - seen
    if len(seen) < REMEMBERED_IDS:
        seen |= fresh
    return len(hashes) - len(fresh)


def _rest(order: Order, done: Spans, redo: list[Unit]) -> Iterator[Order]:
    """Give what is left to do of an order, each stretch of it as an order of its own."""
    stretches = done.outside(order.span)
    tables = [order.rows] if stretches == [order.span] else shared_out(order.rows, stretches)
    for span, rows in zip(stretches, tables, strict=True):
        yield Order(order.split, span, rows.filter(pa.array(wanted(rows, redo))) if redo else rows)


@lru_cache(maxsize=4)
def _tokenizer(name: str | None):
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # Ray gives each task a core; tokenizers would take all
    return load_tokenizer(name) if name else approximate_tokenizer()
