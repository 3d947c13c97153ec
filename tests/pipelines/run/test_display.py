import io
import time

from pipelines.flow.board.scoreboard import Scoreboard
from pipelines.flow.engines.pace import RequestPace
from pipelines.run.display import Display


def state(done, began, last, in_flight=0):
    return {"done": done, "in_flight": in_flight, "began": began, "last": last}


def test_counts_from_many_processes_add_up():
    board = Scoreboard()
    board.add({"read": {"requests": 3}})
    board.add({"read": {"requests": 4}, "settled": {"kept": 1}})
    counts = board.read()
    assert (counts["read"], counts["settled"]) == ({"requests": 7}, {"kept": 1})


def test_of_each_engine_the_latest_state_counts_and_the_time_spans_them_all():
    board = Scoreboard()
    board.engine("a", state(5, 10.0, 20.0, in_flight=7))
    board.engine("a", state(9, 10.0, 30.0, in_flight=2))
    board.engine("b", state(1, 12.0, 31.0, in_flight=1))
    assert board.read()["engine"] == {"done": 10, "in_flight": 3, "seconds": 21.0}


def test_the_total_is_estimated_from_the_part_that_was_read():
    counts = {"read": {"requests": 50, "bytes": 25, "of_bytes": 100}, "engine": {"done": 20}}
    assert "20 of ~200 requests" in RequestPace().line(counts)


def test_without_anything_read_there_is_no_estimate():
    assert "ETA -" in RequestPace().line({"read": {"of_bytes": 100}})


def test_without_a_terminal_progress_is_plain_lines(monkeypatch):
    monkeypatch.setattr("pipelines.run.display.LINE_EVERY_S", 0.01)
    stream = io.StringIO()
    with Display(lambda whole: [RequestPace().line({"settled": {"kept": 12}})], stream=stream):
        deadline = time.monotonic() + 10
        while not stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
    assert "12 kept" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_a_note_is_told_once_however_many_processes_say_it_and_at_the_latest_at_the_end():
    board, stream = Scoreboard(), io.StringIO()
    with Display(lambda whole: [], lambda: board.read()["notes"], stream=stream):
        for note in ("first", "second", "first"):
            board.note(note)
    assert stream.getvalue() == "note: first\nnote: second\n"
