"""Chains go on where their committed rounds end: what these passed on is read from the artifact."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import product
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from operators.models.chains import CARRIED
from operators.storage.base import InputFile, Split, parse_key
from operators.storage.place import Place
from operators.table import row_id, with_columns
from pipelines.ledger.layout import TABLE
from pipelines.ledger.reading import read_records
from pipelines.ledger.records import Commit
from pipelines.ledger.spans import Point, Spans, as_span


def with_passed_on(
    work: Iterable[dict], place: Place, kinds: Collection[str], passed_on: Callable[[dict[str, Any]], str | None]
) -> list[dict]:
    """Add to what is left of an input (see split_rows) what the chains in it are to be handed, by the id of the row before.

    `kinds` are those of the rows that are asked about, whose ids are made by `row_id` of file, position, chunk and kind;
    `passed_on` tells of a row as it is committed what it passes on.
    """
    rows = [json.loads(row["work"]) for row in work]
    ends = {_key(item): _ends(item["done"]) for items in rows for item in items}
    found: dict[str, dict[str, str]] = {split: {} for split, places in ends.items() if places}
    records = read_records(place) if found else None
    for commit in records.commits(place) if records else ():
        for split in found.keys() & commit.spans.keys():
            wanted = _ids(split, _inside(ends[split], commit.spans[split]), kinds)
            found[split] |= {row["id"]: passed_on(row) for row in _rows(place, commit, wanted)} if wanted else {}
    return [{"work": json.dumps([item | {"passed_on": found.get(_key(item), {})} for item in items])} for items in rows]


def with_carried(rows: pa.Table, kind: str, passed_on: Mapping[str, str | None]) -> pa.Table:
    """Hand rows what those before them passed on; `passed_on` is by the ids of these."""
    places = zip(*(rows[name].to_pylist() for name in ("source_file", "position", "chunk_index", kind)), strict=True)
    carried = [
        passed_on.get(row_id(file, position, chunk - 1, name)) if chunk is not None else None
        for file, position, chunk, name in places
    ]
    return with_columns(rows, **{CARRIED.name: pa.array(carried, CARRIED.type)})


def _key(item: dict) -> str:
    return Split(**item["split"] | {"file": InputFile(**item["split"]["file"])}).key


def _ends(done: list) -> list[Point]:
    """Give the last settled chunk of each document that is settled in part."""
    return [(position, chunk - 1) for _, (position, chunk) in map(as_span, done) if chunk]


def _inside(places: Iterable[Point], spans: list) -> list[Point]:
    settled = Spans(map(as_span, spans))
    return [
        (position, chunk)
        for position, chunk in places
        if not settled.outside(((position, chunk), (position, chunk + 1)))
    ]


def _ids(split: str, places: Iterable[Point], kinds: Collection[str]) -> list[str]:
    file = parse_key(split)[0]
    return [row_id(file, *place, kind) for place, kind in product(places, kinds)]


def _rows(place: Place, commit: Commit, ids: list[str]) -> Iterator[dict[str, Any]]:
    for part in commit.parts:
        if TABLE.fullmatch(part.name):
            table = pq.read_table(place.open(part.name))
            yield from table.filter(pc.is_in(table["id"], pa.array(ids, pa.string()))).to_pylist()
