"""The first stage of every pipeline over documents: splits of input files become work orders."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import lru_cache

import pyarrow as pa

from operators.chunk import Chunk, ChunkConfig
from operators.fan_out import FanOut
from operators.storage.base import END, InputConfig, InputFile, Piece, Split
from operators.storage.filesystem import StorageConfig
from operators.storage.reading import read_documents
from operators.table import DOCUMENTS, rewrites
from operators.tokenizer import approximate_tokenizer, load_tokenizer
from pipelines.order import REQUESTS, START, Order, Spans, cut
from pipelines.progress import Report

REMEMBERED_IDS = 1 << 20  # per task, so that memory stays flat
BYTES_PER_TOKEN = 4  # of text, roughly; only sizes the pieces in which a file is read


def split_rows(splits: list[Split], done: dict[str, Spans], limit: int | None) -> list[dict]:
    """Write down what is left to do of the input, as plain JSON: a row for each split that is not done yet.

    With a limit, all splits stand in one row: which documents come first is known only by reading them in order.
    """
    todo = [{"split": asdict(split), "done": done.get(split.key, Spans()).spans} for split in splits]
    unfinished = [work for work in todo if not Spans(work["done"]).complete]
    if limit is not None:
        return [{"work": json.dumps(todo)}] if unfinished else []
    return [{"work": json.dumps([work])} for work in unfinished]


class ReadOrders:
    """Read splits and cut their documents into orders: read -> chunk -> fan out -> cut."""

    def __init__(
        self,
        input: InputConfig,
        storage: StorageConfig,
        chunk: ChunkConfig,
        fan_out: FanOut,
        whole_documents: bool,
        report: Report,
    ):
        self.input, self.storage, self.chunk, self.fan_out = input, storage, chunk, fan_out
        self.whole_documents, self.report = whole_documents, report

    def __call__(self, rows: pa.Table) -> Iterator[pa.Table]:
        chunk = Chunk(self.chunk, _tokenizer(self.chunk.tokenizer))
        seen: set[int] = set()
        with self.report.explaining():
            work = (item for row in rows["work"].to_pylist() for item in json.loads(row))
            for split, done, piece in self._pieces(work):
                requests = self.fan_out(piece.documents, chunk(piece.documents))
                self.report.add({"read": {"repeated_ids": _repeated(piece.documents["document_id"].to_pylist(), seen)}})
                for order in cut(split.key, piece.begin, piece.end, requests, self.whole_documents):
                    if rest := _rest(order, done):
                        self.report.add({"read": {"requests": int(rewrites(rest.rows).sum())}})
                        yield rest.to_block()

    def _pieces(self, work: Iterable[dict]) -> Iterator[tuple[Split, Spans, Piece]]:
        """Read splits one after the other, up to the limit; what lies behind it is settled as an empty piece."""
        left = self.input.limit
        for item in work:
            split = Split(**item["split"] | {"file": InputFile(**item["split"]["file"])})
            done, begin = Spans(item["done"]), START
            # With a limit, documents that are done must be counted too, so they are read again.
            skip = done.positions() if left is None else ()
            for piece in self._read(split, skip) if left != 0 else ():
                if left is not None:
                    piece = Piece(piece.begin, piece.end, piece.documents.slice(0, left))
                    left -= len(piece.documents)
                begin = piece.end
                yield split, done, piece
                if left == 0:
                    break
            if left == 0 and begin < END:
                yield split, done, Piece(begin, END, DOCUMENTS.empty_table())
            self.report.add({"read": {"bytes": split.end - split.begin}})

    def _read(self, split: Split, skip: list[tuple[int, int]]) -> Iterator[Piece]:
        piece_bytes = REQUESTS * self.chunk.max_tokens * BYTES_PER_TOKEN // len(self.fan_out.styles)
        return read_documents(split, self.input, self.storage, skip, piece_bytes)


def _repeated(ids: list[str], seen: set[int]) -> int:
    """Count the ids that came before, and remember them: a warning for the user, since equal ids do no harm here."""
    hashes = [hash(id) for id in ids]
    fresh = set(hashes) - seen
    if len(seen) < REMEMBERED_IDS:
        seen |= fresh
    return len(hashes) - len(fresh)


def _rest(order: Order, done: Spans) -> Order | None:
    """Leave out what is done of an order; None if that is all of it."""
    if done.covers(order.span):
        return None
    return order.with_rows(order.rows.filter(pa.array(~done.holds(order.rows)))) if done.spans else order


@lru_cache(maxsize=4)
def _tokenizer(name: str | None):
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # Ray gives each task a core; tokenizers would take all
    return load_tokenizer(name) if name else approximate_tokenizer()
