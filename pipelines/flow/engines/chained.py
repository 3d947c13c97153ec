"""Chains go on where their committed rounds end: what these passed on is read from the artifact."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from operators.models.chains import CARRIED
from operators.storage.base import InputFile, Split, parse_key
from operators.storage.place import Place
from operators.table import row_id, with_columns
from pipelines.flow.orders.order import Order
from pipelines.ledger.layout import TABLE
from pipelines.ledger.reading import read_part, read_records
from pipelines.ledger.records import Commit
from pipelines.ledger.spans import Point, Spans, as_span


@dataclass(frozen=True)
class Chained:
    """Chains along documents: the rows of one kind, chunk after chunk, whose ids are `row_id` of file, position, chunk and kind.

    `kinds` are those that are asked about, `kind` the column that has them; `passed_on` tells of a row as it is committed at
    `place` what it passes on (the same as its operator's `passed_on` told of the row as it was answered).
    """

    place: Place
    kind: str
    kinds: Collection[str]
    passed_on: Callable[[dict[str, Any]], str | None]

    def added_to(self, work: Iterable[dict]) -> list[dict]:
        """Add to what is left of an input (see split_rows) what its chains are to be handed, by the id of the row before."""
        rows = [json.loads(row["work"]) for row in work]
        found = self._read({_key(item): _ends(item) for items in rows for item in items})
        return [
            {"work": json.dumps([item | {"passed_on": found.get(_key(item), {})} for item in items])} for items in rows
        ]

    def handed(self, order: Order) -> Order:
        """Hand the first chunk of an order what the one before it passes on."""
        position, chunk = order.span[0]
        found = self._read({order.split: [(position, chunk - 1)]} if chunk else {})
        return order.with_rows(with_carried(order.rows, self.kind, found.get(order.split, {})))

    def _read(self, places: Mapping[str, list[Point]]) -> dict[str, dict[str, str | None]]:
        """Read what the rows at some places of splits pass on, by their ids."""
        found: dict[str, dict[str, str | None]] = {split: {} for split, points in places.items() if points}
        records = read_records(self.place) if found else None
        for commit in records.commits(self.place) if records else ():
            for split in found.keys() & commit.spans.keys():
                ids = self._ids(split, _inside(places[split], commit.spans[split]))
                found[split] |= {row["id"]: self.passed_on(row) for row in self._rows(commit, ids)} if ids else {}
        return found

    def _ids(self, split: str, places: Iterable[Point]) -> list[str]:
        file = parse_key(split)[0]
        return [row_id(file, *place, kind) for place, kind in product(places, self.kinds)]

    def _rows(self, commit: Commit, ids: list[str]) -> Iterator[dict[str, Any]]:
        for part in commit.parts:
            if TABLE.fullmatch(part.name):
                table = read_part(self.place, part.name)
                yield from table.filter(pc.is_in(table["id"], pa.array(ids, pa.string()))).to_pylist()


def with_carried(rows: pa.Table, kind: str, passed_on: Mapping[str, str | None]) -> pa.Table:
    """Hand rows what those before them passed on; `passed_on` is by the ids of these."""
    places = zip(*(rows[name].to_pylist() for name in ("source_file", "position", "chunk_index", kind)), strict=True)
    before = [
        None if chunk is None else row_id(file, position, chunk - 1, name) for file, position, chunk, name in places
    ]
    handed = rows[CARRIED.name].to_pylist() if CARRIED.name in rows.column_names else [None] * len(rows)
    carried = [passed_on.get(id, text) for id, text in zip(before, handed, strict=True)]
    return with_columns(rows, **{CARRIED.name: pa.array(carried, CARRIED.type)})


def _key(item: dict) -> str:
    return Split(**item["split"] | {"file": InputFile(**item["split"]["file"])}).key


def _ends(item: dict) -> list[Point]:
    """Give the settled chunks before what is left: at the end of what is done, and before each unit that is done again."""
    places = [end for _, end in map(as_span, item["done"])] + [(position, chunk) for position, chunk, _ in item["redo"]]
    return list(dict.fromkeys((position, chunk - 1) for position, chunk in places if chunk))


def _inside(places: Iterable[Point], spans: list) -> list[Point]:
    settled = Spans(map(as_span, spans))
    return [
        (position, chunk)
        for position, chunk in places
        if not settled.outside(((position, chunk), (position, chunk + 1)))
    ]
