"""The first stage of `rephrase`: splits of input files become work orders."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, astuple
from functools import lru_cache, partial
from typing import Any

import pyarrow as pa

from operators.rewrite.fan_out import FanOut
from operators.storage.base import Split
from operators.storage.config import InputConfig, StorageConfig
from operators.table import rewrites
from operators.text.chunk import Chunk, ChunkConfig
from operators.text.extract import ExtractConfig
from operators.text.tokenizer import approximate_tokenizer, load_tokenizer
from pipelines.flow.faults.bisect import TableWork
from pipelines.flow.faults.isolation import Isolation
from pipelines.flow.input.pieces import Pieces
from pipelines.flow.orders.order import REQUESTS, Order
from pipelines.flow.orders.redo import shared_out, wanted
from pipelines.ledger.records import State
from pipelines.ledger.spans import Spans, Unit

BYTES_PER_TOKEN = 4  # of text, roughly; only sizes the pieces in which a file is read


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
        extract: ExtractConfig,
        chunk: ChunkConfig,
        fan_out: FanOut,
        cut: Callable[[str, int, int, pa.Table], Iterable[Order]],
        isolation: Isolation,
    ):
        piece_bytes = REQUESTS * chunk.max_tokens * BYTES_PER_TOKEN // len(fan_out.styles)
        self.pieces, self.chunk, self.fan_out = Pieces(input, storage, extract, piece_bytes, isolation), chunk, fan_out
        self.cut, self.isolation, self.report = cut, isolation, isolation.report

    def __call__(self, rows: pa.Table) -> Iterator[pa.Table]:
        cutting = TableWork("chunk", partial(requests_of, self.chunk, self.fan_out))
        with self.report.explaining():
            work = (item for row in rows["work"].to_pylist() for item in json.loads(row))
            for split, done, redo, piece in self.pieces.of(work):
                requests = self.isolation.run([cutting], f"{split.key}|{piece.begin}", piece.documents)
                for order in self.cut(split.key, piece.begin, piece.end, requests):
                    for rest in _rest(order, done, redo):
                        self.report.add({"read": {"requests": int(rewrites(rest.rows).sum())}})
                        yield rest.to_block()


def requests_of(config: ChunkConfig, fan_out: FanOut) -> Callable[[pa.Table], pa.Table]:
    """Give what makes requests of documents: chunk -> fan out."""
    chunk = _chunk(*astuple(config))
    return lambda documents: fan_out(documents, chunk(documents))


@lru_cache(maxsize=4)
def _chunk(*settings: Any) -> Chunk:
    config = ChunkConfig(*settings)
    return Chunk(config, _tokenizer(config.tokenizer))


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
