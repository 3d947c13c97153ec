import itertools

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.storage.base import END, UNREADABLE
from operators.table import REQUESTS
from pipelines.flow.faults.config import CALLS
from pipelines.flow.orders.order import Order, cut, from_block
from pipelines.flow.orders.redo import shared_out, wanted
from pipelines.ledger.spans import WHOLE, Spans, Unit
from tests.rows import table


def requests(*documents: tuple[int, int], styles=("qa", "easy")) -> pa.Table:
    """Requests of documents given as (position, number of chunks)."""
    return table(
        REQUESTS,
        [
            {
                "id": f"{position}.{chunk}.{style}",
                "position": position,
                "chunk_index": chunk,
                "style": style,
                "document_id": str(position),
            }
            for position, chunks in documents
            for chunk in range(chunks)
            for style in styles
        ],
    )


def test_an_order_survives_the_way_through_a_block():
    order = Order("a:0-9", ((0, 0), (END, 0)), requests((0, 2), (5, 1)))
    (back,) = from_block(order.to_block())
    assert back == order


def test_an_empty_order_survives_too():
    order = Order("a:0-9", ((0, 0), (END, 0)), REQUESTS.empty_table())
    (back,) = from_block(order.to_block())
    assert back == order


@pytest.mark.parametrize("whole", [False, True])
def test_orders_tile_the_piece_and_lose_no_row(whole):
    rows = requests((3, 100), (40, 1), (41, 70), (90, 5))
    orders = list(cut(Order("s", ((3, 0), (END, 0)), rows), CALLS, whole_documents=whole))
    assert pa.concat_tables([order.rows for order in orders]).equals(rows)
    assert orders[0].span[0] == (3, 0)
    assert orders[-1].span[1] == (END, 0)
    assert all(a.span[1] == b.span[0] for a, b in itertools.pairwise(orders))
    assert len(orders) > 1


def test_a_border_never_falls_between_the_styles_of_a_chunk():
    for order in cut(Order("s", WHOLE, requests((0, 500), styles=("a", "b", "c"))), CALLS):
        assert len(order.rows) % 3 == 0
        assert len(order.rows) < CALLS + 3


def test_whole_documents_stay_in_one_order():
    orders = list(cut(Order("s", WHOLE, requests((0, 500), (1, 500))), CALLS, whole_documents=True))
    assert [len(order.rows) for order in orders] == [1000, 1000]


def test_a_piece_without_documents_is_still_an_order():
    (order,) = cut(Order("s", WHOLE, REQUESTS.empty_table()), CALLS)
    assert order.span == ((0, 0), (END, 0))


def test_spans_merge_and_know_when_all_is_done():
    spans = Spans([((5, 2), (9, 0)), ((0, 0), (5, 2)), ((20, 0), (END, 0))])
    assert not spans.complete
    assert spans.spans == [((0, 0), (9, 0)), ((20, 0), (END, 0))]
    assert Spans([*spans.spans, ((9, 0), (20, 0))]).complete


def test_a_document_that_is_done_in_part_is_not_skipped():
    assert Spans([((0, 0), (5, 2)), ((7, 1), (9, 0))]).positions() == [(0, 5), (8, 9)]


def test_what_of_a_span_is_not_done_is_given_in_stretches():
    spans = Spans([((0, 0), (5, 2)), ((7, 0), (9, 0))])
    assert spans.outside(((3, 0), (8, 0))) == [((5, 2), (7, 0))]
    assert spans.outside(((5, 1), (END, 0))) == [((5, 2), (7, 0)), ((9, 0), (END, 0))]
    assert spans.outside(((1, 0), (5, 2))) == []
    assert Spans().outside(WHOLE) == [WHOLE]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=12), st.integers(0, 30), st.integers(1, 30))
def test_spans_are_the_sets_of_places_that_they_stand_for(pairs, begin, length):
    given_spans = [((min(pair), 0), (max(pair) + 1, 0)) for pair in pairs]
    span = (begin, 0), (begin + length, 0)
    members = {place for (b, _), (e, _) in given_spans for place in range(b, e)}
    inside = set(range(begin, begin + length))
    outside = {place for (b, _), (e, _) in Spans(given_spans).outside(span) for place in range(b, e)}
    without = {place for (b, _), (e, _) in Spans(given_spans).without([span]).spans for place in range(b, e)}
    assert outside == inside - members
    assert without == members - inside


def test_rows_go_to_the_stretch_in_which_they_lie():
    rows = requests((0, 1), (5, 3), styles=("qa",))
    first, second = shared_out(rows, "style", [((0, 0), (5, 1)), ((5, 2), (END, 0))])
    assert first["id"].to_pylist() == ["0.0.qa", "5.0.qa"] and second["id"].to_pylist() == ["5.2.qa"]


def rejected(position: int, reason: str) -> pa.Table:
    return table(REQUESTS, [{"id": "r", "position": position, "stage": "read", "reason": reason}])


def test_a_document_that_is_rejected_now_lies_wherever_something_of_it_is_left():
    (rest,) = shared_out(rejected(5, "error"), "style", [((5, 2), (7, 0))])
    assert len(rest) == 1
    before, after = shared_out(rejected(5, "null_text"), "style", [((0, 0), (5, 0)), ((6, 0), (END, 0))])
    assert len(before) == len(after) == 0  # it was settled before, and is not told again


def test_a_file_that_cannot_be_read_any_more_is_told_though_its_beginning_was_read():
    first, second = shared_out(rejected(0, UNREADABLE), "style", [((300, 0), (400, 0)), ((500, 0), (END, 0))])
    assert len(first) == 1 and len(second) == 0


def test_of_a_chunk_with_a_failed_unit_only_that_unit_is_wanted_again():
    rows = requests((0, 1), (5, 2))
    (unit,) = (Unit(5, 1, row["id"]) for row in rows.to_pylist() if row["chunk_index"] == 1 and row["style"] == "qa")
    kept = rows.filter(pa.array(wanted(rows, "style", [unit])))
    assert {
        (row["position"], row["chunk_index"], row["style"]) for row in kept.to_pylist() if row["chunk_index"] == 1
    } == {(5, 1, "qa")}
    assert len(kept) == len(rows) - 1
