from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.errors import BadRequest
from operators.storage.base import END
from operators.storage.config import StorageConfig
from operators.storage.place import Place
from pipelines.flow.orders.order import Order
from pipelines.flow.orders.redo import shared_out, wanted
from pipelines.flow.orders.writer import write_orders
from pipelines.ledger.lease import myself
from pipelines.ledger.ledger import next_ledger
from pipelines.ledger.proof.verify import verify
from pipelines.ledger.reading import read_records
from pipelines.ledger.records import State
from pipelines.ledger.rollback import failures, without_blamed, without_failures, without_parts
from pipelines.ledger.spans import WHOLE, Unit
from pipelines.ledger.tenure import claim, folded, sweep
from tests.pipelines.ledger.finished import FAILED, FORM, RUN, SPLITS, artifact, order, row, rows_of
from tests.rows import completed

ROWS = FORM.units
COMMITS = replace(ROWS, whole_commits=True)


@pytest.fixture
def place(tmp_path):
    place = Place(str(tmp_path), StorageConfig())
    artifact(place)
    return place


def amended(place, change, run=RUN):
    """Begin an epoch whose state is changed."""
    records = read_records(place)
    ledger = next_ledger(place, records)
    return claim(place, records, change(ledger, folded(ledger, records.state, records.tail)), myself(), run)


def again() -> Order:
    """Give the order that does the failed unit again."""
    return Order(SPLITS[0], ((0, 0), (0, 1)), completed(row(SPLITS[0], 0, "qa")))


def ids(place, folder):
    return sorted(id for name in place.names(folder) for id in pq.read_table(place.open(name))["id"].to_pylist())


def test_only_what_failed_is_taken_back(place):
    kept = ids(place, "data")
    tenure = amended(place, lambda ledger, state: without_failures(ledger, state, ROWS))
    sweep(tenure)
    assert tenure.state.redo == {SPLITS[0]: [Unit(0, 0, "a0-qa-0")]}
    assert tenure.state.done[SPLITS[0]].outside(((0, 0), (10, 0))) == [((0, 0), (0, 1))]
    assert failures(tenure.state.counts, ROWS.asking) == 0
    assert ids(place, "data") == kept and ids(place, "rejected") == ["a10-easy-0"]


REFUSED = {"stage": "rephrase", "reason": "bad_request", "detail": "unknown field", "text": None}
BLAMED = (("qa", "rephrase/bad_request"),)


def stopped(place, *rows: list[dict], whole_commits=False, blamed=BLAMED):
    """A run that had committed one document after the other, some of whose rows were charged with what was not their fault."""
    tenure = claim(place, None, State(), myself(), RUN | {"splits": SPLITS[:1]})
    for number, some in enumerate(rows):
        write_orders(tenure.ledger, FORM, f"w-{number}", [order(SPLITS[0], 10 * number, 10 * number + 10, some)])
    tenure.take_back(
        lambda ledger, state: without_blamed(ledger, state, replace(ROWS, whole_commits=whole_commits), blamed)
    )
    sweep(tenure)
    return tenure


def test_of_what_the_engine_is_to_blame_for_only_that_is_taken_back(tmp_path):
    place = Place(str(tmp_path), StorageConfig())
    first = rows_of(SPLITS[0], 0, qa=REFUSED, easy=FAILED)  # nothing was kept here: it goes altogether
    second = rows_of(SPLITS[0], 10, qa=REFUSED)
    third = rows_of(SPLITS[0], 20, easy=REFUSED)  # another style's, which nobody blames
    tenure = stopped(place, first, second, third)
    assert tenure.state.done[SPLITS[0]].outside(((0, 0), (30, 0))) == [((0, 0), (10, 1))]
    assert tenure.state.redo == {SPLITS[0]: [Unit(10, 0, "a10-qa-0")]}
    assert ids(place, "rejected") == ["a20-easy-0"]
    assert read_records(place).now().counts == tenure.state.counts


def test_a_run_that_could_not_work_leaves_nothing_behind(tmp_path):
    place = Place(str(tmp_path), StorageConfig())
    tenure = stopped(
        place, *(rows_of(SPLITS[0], 10 * n, qa=REFUSED, easy=REFUSED) for n in range(3)), blamed=((None, BLAMED[0][1]),)
    )
    assert not any(done.spans for done in tenure.state.done.values()) and not tenure.state.counts.get(
        "rejected", {}
    ).get("qa")
    assert ids(place, "data") == ids(place, "rejected") == []


def test_what_an_earlier_run_charged_stays_and_what_it_kept_is_not_lost_with_what_is_done_again(place):
    """A unit that failed is done again, and refused by an engine that refuses all."""
    records = read_records(place)
    ledger = next_ledger(place, records)
    before = without_failures(ledger, folded(ledger, records.state, records.tail), ROWS)
    kept = ids(place, "data")
    tenure = claim(place, records, before, myself(), RUN)
    write_orders(
        tenure.ledger, FORM, "r-0", [Order(SPLITS[0], ((0, 0), (0, 1)), completed(row(SPLITS[0], 0, "qa", **REFUSED)))]
    )
    tenure.take_back(lambda ledger, state: without_blamed(ledger, state, ROWS, BLAMED))
    sweep(tenure)
    assert tenure.state.redo == {SPLITS[0]: [Unit(0, 0, "a0-qa-0")]}
    assert ids(place, "data") == kept and ids(place, "rejected") == ["a10-easy-0"]


def test_where_documents_stay_whole_the_commits_that_are_blamed_go_altogether(tmp_path):
    place = Place(str(tmp_path), StorageConfig())
    tenure = stopped(place, rows_of(SPLITS[0], 0, qa=REFUSED), rows_of(SPLITS[0], 10), whole_commits=True)
    assert tenure.state.done[SPLITS[0]].outside(((0, 0), (20, 0))) == [((0, 0), (10, 0))] and tenure.state.redo == {}


def test_what_is_done_again_counts_once(place):
    before = read_records(place).now().counts
    tenure = amended(place, lambda ledger, state: without_failures(ledger, state, ROWS))
    write_orders(tenure.ledger, FORM, "r-0", [again()])
    tenure.fold(at_least=1)
    sweep(tenure)
    counts = tenure.state.counts
    assert counts["documents"] == before["documents"] == 4
    assert counts["kept"] == before["kept"] | {"qa": before["kept"]["qa"] + 1}
    assert tenure.state.redo == {} and verify(place).whole


def test_where_documents_stay_whole_the_commit_goes_altogether(place):
    tenure = amended(place, lambda ledger, state: without_failures(ledger, state, COMMITS))
    assert tenure.state.done[SPLITS[0]].outside(((0, 0), (20, 0))) == [((0, 0), (10, 0))]
    assert tenure.state.redo == {} and tenure.state.counts["documents"] == 3


def test_a_file_that_could_not_be_read_is_taken_back_with_all_that_was_read_of_it(tmp_path):
    place = Place(str(tmp_path), StorageConfig())
    tenure = artifact(place)
    unread = row(SPLITS[0], 10, None, None, stage="read", reason="unreadable_file")
    gone = order(SPLITS[0], 10, END, [unread])
    tenure.state.done[SPLITS[0]] = tenure.state.done[SPLITS[0]].without([gone.span])
    write_orders(tenure.ledger, FORM, "x-0", [gone])
    state = amended(place, lambda ledger, state: without_failures(ledger, state, ROWS)).state
    assert state.done[SPLITS[0]].spans == [] and state.done[SPLITS[1]].complete


def test_units_that_were_done_again_in_the_place_of_a_damaged_part_go_with_it(place):
    """Else the next run, which does the whole chunk again, would write them a second time."""
    tenure = amended(place, lambda ledger, state: without_failures(ledger, state, ROWS))
    write_orders(tenure.ledger, FORM, "r-0", [again()])
    first = next(c for c in read_records(place).commits(place) if SPLITS[0] in c.spans)
    assert first.spans[SPLITS[0]] == [[[0, 0], [10, 0]]]
    state = amended(place, lambda ledger, state: without_parts(ledger, state, {first.parts[0].name})).state
    assert state.done[SPLITS[0]].outside(((0, 0), (20, 0))) == [((0, 0), (10, 0))]
    write = claim(place, read_records(place), state, myself(), RUN)
    write_orders(write.ledger, FORM, "z-0", [order(SPLITS[0], 0, 10, rows_of(SPLITS[0], 0))])
    write.fold(at_least=1)
    sweep(write)
    assert verify(place).whole


def broken_artifact(place, *rows: dict):
    """An artifact of one document, some rows of which failed."""
    run = RUN | {"splits": SPLITS[:1]}
    tenure = claim(place, None, State(), myself(), run)
    write_orders(tenure.ledger, FORM, "w-0", [order(SPLITS[0], 0, END, list(rows))])
    return amended(place, lambda ledger, state: without_failures(ledger, state, ROWS), run)


@pytest.mark.parametrize("failing", [["original"], ["original", "qa"], ["original", "qa", "easy"], ["easy"]])
def test_of_a_document_each_row_that_failed_is_done_again_and_no_other(tmp_path, failing):
    place = Place(str(tmp_path), StorageConfig())
    failed = {"stage": "mix", "reason": "crash"}
    rows = [
        row(SPLITS[0], 0, style, None if style == "original" else 0, **(failed if style in failing else {}))
        for style in ("original", "qa", "easy")
    ]
    tenure = broken_artifact(place, *rows)
    stretches = tenure.state.done[SPLITS[0]].outside(WHOLE)
    assert stretches == [((0, 0), (0, 1))]
    (again,) = shared_out(completed(*rows), "style", stretches)
    again = again.filter(pa.array(wanted(again, "style", tenure.state.redo[SPLITS[0]])))
    assert again["style"].to_pylist() == failing
    fresh = completed(*(one for one in rows_of(SPLITS[0], 0) if one["style"] in failing))
    write_orders(tenure.ledger, FORM, "r-0", [Order(SPLITS[0], stretches[0], fresh)])
    tenure.fold(at_least=1)
    sweep(tenure)
    assert verify(place).whole and tenure.state.counts["documents"] == 1
    assert ids(place, "data") == sorted(one["id"] for one in rows_of(SPLITS[0], 0))


def test_a_file_with_a_colon_in_its_name_is_not_taken_for_another(tmp_path):
    place = Place(str(tmp_path), StorageConfig())
    other, split = "a.txt:b.txt:0-10", "a.txt:0-10"
    run = RUN | {"splits": [other, split]}
    tenure = claim(place, None, State(), myself(), run)
    orders = [
        order(other, 0, END, [row(other, 0, "qa")]),
        order(split, 0, END, [row(split, 0, "qa", **FAILED) | {"id": "failed"}]),
    ]
    write_orders(tenure.ledger, FORM, "w-0", orders)
    state = amended(place, lambda ledger, s: without_failures(ledger, s, ROWS), run).state
    assert list(state.redo) == [split] and state.done[other].complete


def test_a_retry_over_a_damaged_part_is_refused_with_what_to_do(place):
    place.publish(place.names("rejected")[0], b"not parquet")
    place.publish(place.names("rejected")[1], b"not parquet")
    with pytest.raises(BadRequest, match=r"cannot be read.*verify --repair"):
        amended(place, lambda ledger, state: without_failures(ledger, state, ROWS))
