import json
from dataclasses import replace

import pytest

from operators.errors import BadRequest
from operators.storage.base import END, InputFile, Split
from operators.storage.config import StorageConfig
from operators.storage.place import Place
from operators.table import row_id
from pipelines.flow.engines.chained import Chained, with_carried
from pipelines.flow.orders.order import Order
from pipelines.flow.orders.writer import write_orders
from pipelines.flow.stream.read import split_rows
from pipelines.ledger.lease import myself
from pipelines.ledger.records import State
from pipelines.ledger.spans import Spans, Unit
from pipelines.ledger.tenure import claim
from tests.pipelines.ledger.finished import FORM, RUN, row
from tests.rows import completed

SPLIT = Split(InputFile("a.jsonl", "/nowhere/a.jsonl", 100, "jsonl"), 0, 100)


def rows_of_chunk(position: int, chunk: int, **columns) -> list[dict]:
    ids = {style: row_id("a.jsonl", position, chunk, style) for style in ("qa", "easy")}
    return [
        row(SPLIT.key, position, style, chunk, id=id, text=f"{style} {chunk}", **columns) for style, id in ids.items()
    ]


def settled(place: Place, *pieces: tuple) -> State:
    tenure = claim(place, None, State(), myself(), RUN | {"splits": [SPLIT.key]})
    for number, (begin, end, rows) in enumerate(pieces):
        write_orders(tenure.ledger, FORM, f"w-{number}", [Order(SPLIT.key, (begin, end), completed(*rows))])
    tenure.fold(at_least=1)
    return tenure.state


@pytest.fixture
def place(tmp_path):
    return Place(str(tmp_path), StorageConfig())


def chained(place: Place) -> Chained:
    return Chained(place, "style", ["qa", "easy"], lambda row: row["text"])


def passed_on(place: Place, state: State) -> dict:
    (work,) = chained(place).added_to(split_rows([SPLIT], state, None))
    return json.loads(work["work"])[0]["passed_on"]


def test_what_the_last_settled_chunk_passes_on_is_read_from_the_artifact_rejected_or_not(place):
    refused = rows_of_chunk(0, 2, stage="clean", reason="refusal")
    first = [*rows_of_chunk(0, 0), *rows_of_chunk(0, 1)]
    state = settled(place, ((0, 0), (0, 2), first), ((0, 2), (0, 3), refused), ((7, 0), (END, 0), rows_of_chunk(7, 0)))
    assert passed_on(place, state) == {row["id"]: row["text"] for row in refused}


def test_in_front_of_each_hole_stands_what_it_is_handed(place):
    state = settled(place, *(((0, n), (0, n + 1), rows_of_chunk(0, n)) for n in (0, 1, 3, 4)))
    handed = passed_on(place, state)
    assert set(handed.values()) == {"qa 1", "easy 1", "qa 4", "easy 4"}
    rest = with_carried(completed(*rows_of_chunk(0, 2), *rows_of_chunk(0, 3), *rows_of_chunk(0, 5)), "style", handed)
    assert rest["carried"].to_pylist() == ["qa 1", "easy 1", None, None, "qa 4", "easy 4"]


def test_where_only_whole_documents_are_settled_nothing_is_read(place):
    state = settled(place, ((0, 0), (7, 0), rows_of_chunk(0, 0)))
    for name in place.names("data"):
        place.remove(name)
    assert passed_on(place, state) == {}


def test_a_unit_that_is_done_again_is_handed_what_is_kept_before_it_though_another_kind_is_done_again_there(place):
    state = settled(place, ((0, 0), (0, 3), [row for n in range(3) for row in rows_of_chunk(0, n)]))
    redo = [Unit(0, n, row_id("a.jsonl", 0, n, style)) for n, style in ((1, "qa"), (2, "easy"))]
    holed = replace(state, done={SPLIT.key: Spans([((0, 0), (0, 1))])}, redo={SPLIT.key: redo})
    handed = passed_on(place, holed)
    assert handed[row_id("a.jsonl", 0, 1, "easy")] == "easy 1" and handed[row_id("a.jsonl", 0, 0, "qa")] == "qa 0"


def test_an_order_that_begins_in_a_document_is_handed_what_stands_before_it(place):
    settled(place, ((0, 0), (0, 2), [*rows_of_chunk(0, 0), *rows_of_chunk(0, 1)]))
    order = Order(SPLIT.key, ((0, 2), (0, 4)), completed(*rows_of_chunk(0, 2), *rows_of_chunk(0, 3)))
    assert chained(place).handed(order).rows["carried"].to_pylist() == ["qa 1", "easy 1", None, None]


def test_a_part_that_is_damaged_is_told_in_words(place):
    state = settled(place, ((0, 0), (0, 2), rows_of_chunk(0, 1)))
    for name in place.names("data"):
        place.publish(name, b"no parquet")
    with pytest.raises(BadRequest, match="verify --repair"):
        passed_on(place, state)
