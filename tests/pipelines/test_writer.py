from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from operators.storage.base import END
from operators.storage.filesystem import Place, StorageConfig
from operators.table import ORIGINAL
from pipelines.counts import count_rows
from pipelines.ledger import Ledger
from pipelines.order import Order
from pipelines.progress import Report
from pipelines.writer import DATA, REJECTED, ArtifactSink
from tests.rows import completed

ROWS = completed(
    {"id": "1", "document_id": "d", "style": ORIGINAL, "text": "whole", "source_tokens": 7, "position": 0},
    {
        "id": "2",
        "document_id": "d",
        "style": "qa",
        "chunk_index": 0,
        "text": "a new text",
        "source_text": "whole",
        "source_tokens": 7,
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "position": 0,
    },
    {
        "id": "3",
        "document_id": "d",
        "style": "qa",
        "chunk_index": 1,
        "stage": "clean",
        "reason": "refusal",
        "position": 0,
    },
    {"id": "4", "document_id": "e", "stage": "read", "reason": "null_text", "position": 9},
)


class Board:
    """Stands in for the scoreboard's actor."""

    add = SimpleNamespace(remote=lambda counts: None)


@pytest.fixture
def place(tmp_path):
    return Place(str(tmp_path), StorageConfig())


def write(place, *orders, task=0):
    context = SimpleNamespace(kwargs={"write_uuid": "w"}, task_idx=task)
    return ArtifactSink(place, 16, Report(Board())).write([order.to_block() for order in orders], context)


def read(place, folder):
    return [row for name in place.names(folder) for row in pq.read_table(f"{place.url}/{name}").to_pylist()]


def test_living_rows_go_to_data_and_the_others_to_rejected(place):
    write(place, Order("f", ((0, 0), (END, 0)), ROWS))
    assert {row["id"] for row in read(place, "data")} == {"1", "2"}
    assert {(row["id"], row["reason"]) for row in read(place, "rejected")} == {("3", "refusal"), ("4", "null_text")}


def test_parts_have_exactly_the_promised_columns(place):
    write(place, Order("f", ((0, 0), (END, 0)), ROWS))
    (data,), (rejected,) = place.names("data"), place.names("rejected")
    assert pq.read_schema(f"{place.url}/{data}").names == DATA.names
    assert pq.read_schema(f"{place.url}/{rejected}").names == REJECTED.names


def test_counts_say_what_became_of_everything(place):
    counts = write(place, Order("f", ((0, 0), (END, 0)), ROWS))
    assert counts["kept"] == {ORIGINAL: 1, "qa": 1}
    assert counts["rejected"] == {"qa": {"clean/refusal": 1}, "document": {"read/null_text": 1}}
    assert counts["documents"] == 2
    assert counts["tokens"] == {"real": 7, "synthetic": 14}
    assert counts["paid"] == {"qa": {"prompt": 9, "cached": 0, "completion": 5}}


def test_stitched_documents_are_counted_too():
    joined = {"id": "5", "document_id": "d", "style": "qa", "text": "new", "source_file": "a.jsonl", "position": 0}
    other = joined | {"id": "6", "position": 9}
    assert count_rows(completed(joined, joined | {"id": "7", "style": "medium"}, other))["documents"] == 2


def test_a_write_that_ray_runs_again_adds_nothing(place):
    order = Order("f", ((0, 0), (END, 0)), ROWS)
    write(place, order)
    assert write(place, order) == {}
    assert len(read(place, "data")) == 2


def test_orders_without_rows_are_settled_without_a_part(place):
    write(place, Order("f", ((0, 0), (END, 0)), ROWS.slice(0, 0)))
    ledger = Ledger(place)
    ledger.reload()
    assert ledger.done()["f"].complete
    assert place.names("data") == []
