from contextlib import nullcontext
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from operators.storage.config import StorageConfig
from operators.storage.place import Place
from operators.table import ORIGINAL
from pipelines.flow.orders.order import Order, order_key
from pipelines.flow.orders.rows import REJECTED
from pipelines.flow.orders.tally import count_rows
from pipelines.flow.orders.writer import ArtifactSink, write_orders
from pipelines.ledger.lease import myself
from pipelines.ledger.ledger import Ledger, Lost
from pipelines.ledger.reading import data_parts, read_records
from pipelines.ledger.records import State
from pipelines.ledger.spans import WHOLE
from pipelines.ledger.tenure import claim
from pipelines.rephrase.rows import DATA
from tests.pipelines.ledger.finished import FORM
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


class Quiet:
    """Stands in for the report to the scoreboard."""

    def __init__(self):
        self.keys = []

    def add(self, counts):
        pass

    def settled(self, keys):
        self.keys += keys

    def why(self):
        return None

    explaining = nullcontext


@pytest.fixture
def place(tmp_path):
    place = Place(str(tmp_path), StorageConfig())
    claim(place, None, State(), myself(), {"splits": ["f"]})
    return place


def write(place, *orders, task=0):
    context = SimpleNamespace(kwargs={"write_uuid": "w"}, task_idx=task)
    return ArtifactSink(Ledger(place, 1), FORM, 16, Quiet()).write([order.to_block() for order in orders], context)


def read(place, folder):
    return [row for name in place.names(folder) for row in pq.read_table(f"{place.url}/{name}").to_pylist()]


def test_living_rows_go_to_data_and_the_others_to_rejected(place):
    write(place, Order("f", WHOLE, ROWS))
    assert {row["id"] for row in read(place, "data")} == {"1", "2"}
    assert {(row["id"], row["reason"]) for row in read(place, "rejected")} == {("3", "refusal"), ("4", "null_text")}


def test_parts_have_exactly_the_promised_columns(place):
    write(place, Order("f", WHOLE, ROWS))
    (data,), (rejected,) = place.names("data"), place.names("rejected")
    assert pq.read_schema(f"{place.url}/{data}").names == DATA.names
    assert pq.read_schema(f"{place.url}/{rejected}").names == REJECTED.names


def test_counts_say_what_became_of_everything(place):
    counts = write(place, Order("f", WHOLE, ROWS))
    assert counts["kept"] == {ORIGINAL: 1, "qa": 1}
    assert counts["rejected"] == {"qa": {"clean/refusal": 1}, "document": {"read/null_text": 1}}
    assert counts["documents"] == 2
    assert counts["tokens"] == {"real": 7, "synthetic": 14}
    assert counts["paid"] == {"qa": {"prompt": 9, "cached": 0, "completion": 5}}


def test_stitched_documents_are_counted_too():
    joined = {"id": "5", "document_id": "d", "style": "qa", "text": "new", "source_file": "a.jsonl", "position": 0}
    other = joined | {"id": "6", "position": 9}
    assert count_rows(completed(joined, joined | {"id": "7", "style": "medium"}, other), FORM.units)["documents"] == 2


def test_a_write_that_ray_runs_again_adds_nothing(place):
    order = Order("f", WHOLE, ROWS)
    write(place, order)
    assert write(place, order) == {}
    assert len(read(place, "data")) == 2


def test_of_two_tries_at_once_the_first_commit_stands(place, monkeypatch):
    order, ledger = Order("f", WHOLE, ROWS), Ledger(place, 1)
    monkeypatch.setattr(Ledger, "holds", lambda self, name: False)  # neither saw the other's commit when it began
    assert write_orders(ledger, FORM, "w-0", [order]) != {}
    there = set(place.names("data"))
    assert write_orders(ledger, FORM, "w-0", [order]) == {}
    assert data_parts(place) == there


def test_a_run_with_a_successor_writes_nothing_more(place):
    claim(place, read_records(place), State(), myself(), {"splits": ["f"]})
    with pytest.raises(Lost, match="taken over"):
        write(place, Order("f", WHOLE, ROWS))
    assert place.names("data") == []


def test_orders_without_rows_are_settled_without_a_part(place):
    write(place, Order("f", WHOLE, ROWS.slice(0, 0)))
    assert read_records(place).now().done["f"].complete
    assert place.names("data") == []


def test_the_engines_hear_which_orders_are_committed(place):
    order, quiet = Order("f", WHOLE, ROWS), Quiet()
    context = SimpleNamespace(kwargs={"write_uuid": "w"}, task_idx=0)
    ArtifactSink(Ledger(place, 1), FORM, 16, quiet).write([order.to_block()], context)
    assert quiet.keys == [order_key(order)]


def test_a_commit_whose_answer_was_lost_keeps_its_parts(place, monkeypatch):
    """A storage that is asked again may find the commit folded away, and say that it was not ours."""
    real = Ledger.commit
    monkeypatch.setattr(Ledger, "commit", lambda *arguments: real(*arguments) and False)
    write(place, Order("f", WHOLE, ROWS))
    assert data_parts(place) == set(place.names("data")) != set()
