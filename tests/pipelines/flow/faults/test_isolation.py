"""Poison on a real Ray: what raises, hangs or kills its process leaves alone, and nothing starts again for ever."""

import gc
import json
import os
from functools import partial

import pytest

from operators.errors import BadRequest
from operators.models.engines import EngineConfig
from operators.models.engines.base import EngineFailure
from operators.models.engines.transformers.engine import TransformersConfig
from operators.rewrite.fan_out import FanOut
from operators.rewrite.rephrase import Rephrase, RephraseConfig
from operators.storage.base import END, InputFile, Split
from operators.storage.config import InputConfig, StorageConfig
from operators.storage.place import Place
from operators.table import COMPLETIONS, REQUESTS
from operators.text.chunk import ChunkConfig
from operators.text.extract import ExtractConfig
from pipelines.exits import StageFailure
from pipelines.flow.board.reporter import Reporter
from pipelines.flow.board.scoreboard import start_board
from pipelines.flow.engines.asking import Asking
from pipelines.flow.engines.chained import Chained
from pipelines.flow.faults.bisect import BLAMED, TableWork, bisect
from pipelines.flow.faults.config import CALLS, CommitConfig, FaultConfig
from pipelines.flow.faults.isolation import Isolation
from pipelines.flow.faults.sandbox import in_sandbox
from pipelines.flow.orders.order import Order, cut, from_block, order_key
from pipelines.flow.stream.read import split_rows
from pipelines.flow.stream.refine import Refine
from pipelines.ledger.records import State
from pipelines.rephrase.dag import requests
from pipelines.rephrase.rows import REASONS, form
from tests.fakes.poison import PoisonedFanOut, PoisonedReadOrders, poisoned_engine, poisoned_refinements, strike_rows
from tests.rows import completed, table

STAGE = {"batch_size": None, "batch_format": "pyarrow", "zero_copy_batch": True, "num_cpus": 0.5}
DEADLINE_S = 4.0  # on a machine where others work too


@pytest.fixture(autouse=True)
def blameless():
    """Forget what stages of earlier tests did in this process."""
    BLAMED.clear()


@pytest.fixture
def report(ray_session):
    import ray

    board = start_board()
    yield Reporter(board)
    ray.kill(board)
    gc.collect()  # the actors of a dataset that failed lie in cycles, and hold their CPUs


def collected(dataset) -> dict[str, dict]:
    """Run a dataset of orders, and give its rows by document."""
    rows = [
        row
        for block in dataset.iter_batches(batch_size=None, batch_format="pyarrow")
        for order in from_block(block)
        for row in order.rows.to_pylist()
    ]
    found = {row["document_id"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def read(report, tmp_path, texts: list[str], fan_out: FanOut, format: str = "jsonl") -> dict[str, dict]:
    """Read documents d0, d1 ... through the first stage, one request each."""
    import ray

    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps({"id": f"d{i}", "text": text}) + "\n" for i, text in enumerate(texts)))
    size = path.stat().st_size
    split = Split(InputFile("corpus.jsonl", str(path), size, format), 0, size)
    cutting = TableWork("chunk", partial(requests, ChunkConfig(), fan_out))
    stage = PoisonedReadOrders(
        *(InputConfig(), StorageConfig(), ExtractConfig(), CALLS * ChunkConfig().max_tokens, cutting),
        *(partial(cut, calls_per_order=CALLS), len, form(stitched=False).units, Isolation(report, DEADLINE_S)),
    )
    work = ray.data.from_items(split_rows([split], State(), None))
    return collected(work.map_batches(stage.__call__, **STAGE))


def living(rows: dict[str, dict]) -> set[str]:
    return {name for name, row in rows.items() if row["reason"] is None}


def test_records_that_raise_or_hang_leave_and_the_others_of_their_piece_are_read(report, tmp_path):
    rows = read(report, tmp_path, ["one", "<<raise>>", "<<hang>>", "two"], FanOut({"qa": 0}, False), "poisoned")
    assert living(rows) == {"d0", "d3"}
    gone = sorted((row["position"], row["stage"], row["reason"]) for row in rows.values() if row["reason"])
    lines = (tmp_path / "corpus.jsonl").read_text().splitlines(keepends=True)
    begins = [sum(map(len, lines[:i])) for i in (1, 2)]
    assert gone == [(begins[0], "read", "error"), (begins[1], "read", "deadline")]
    assert all(
        row["id"] and row["detail"] and row["source_file"] == "corpus.jsonl" for row in rows.values() if row["reason"]
    )


@pytest.mark.long
def test_documents_that_cannot_be_cut_leave_as_documents(report, tmp_path):
    rows = read(report, tmp_path, ["one", "<<die>>", "<<raise>>"], PoisonedFanOut({"qa": 0}, False))
    assert living(rows) == {"d0"}
    assert (rows["d1"]["stage"], rows["d1"]["reason"]) == ("chunk", "crash")
    assert (rows["d2"]["stage"], rows["d2"]["reason"], rows["d2"]["detail"]) == ("chunk", "error", "ValueError: poison")


def test_a_file_that_kills_whoever_reads_on_is_given_up_from_there(report, tmp_path):
    texts = ["one", "two " * 40_000, "<<unreadable>>", "three"]  # the second fills a piece
    rows = read(report, tmp_path, texts, FanOut({"qa": 0}, False), "poisoned")
    assert set(rows) == {"d0", "corpus.jsonl"} and living(rows) == {"d0"}
    assert (rows["corpus.jsonl"]["stage"], rows["corpus.jsonl"]["reason"]) == ("read", "unreadable_file")


def refined(report, rows: list[dict]) -> dict[str, dict]:
    import ray

    order = Order("s", ((0, 0), (END, 0)), completed(*rows))
    refine = Refine(
        poisoned_refinements, ("stitch",), form(stitched=False).units, REASONS, Isolation(report, DEADLINE_S)
    )
    return collected(ray.data.from_arrow(order.to_block()).map_batches(refine.__call__, **STAGE))


def test_a_stage_that_raises_on_every_row_is_to_blame_itself():
    def build():
        def broken(table):
            if "text" in table.column_names and table["reason"].null_count:
                raise KeyError("a mistake of ours")
            return table

        return broken

    rows = completed(*({"id": str(i), "document_id": str(i)} for i in range(30)))
    with pytest.raises(StageFailure, match=r"'clean' raised on each of 30 rows.*a mistake of ours"):
        bisect(TableWork("clean", build), rows)
    BLAMED.clear()
    for _ in range(6):  # few at a time, as where documents are long
        assert bisect(TableWork("clean", build), rows[:3])["reason"].to_pylist() == ["error"] * 3
    with pytest.raises(StageFailure):
        bisect(TableWork("clean", build), rows[:3])


@pytest.mark.long
def test_a_rewrite_that_kills_the_process_leaves_and_its_order_goes_on(report):
    texts = ["one", "<<die>>", "two", "three"]
    rows = refined(
        report, [{"document_id": f"d{i}", "position": i, "style": "qa", "text": t} for i, t in enumerate(texts)]
    )
    assert living(rows) == {"d0", "d2", "d3"}
    assert (rows["d1"]["stage"], rows["d1"]["reason"], rows["d1"]["text"]) == ("clean", "crash", "<<die>>")


def build_strike_rows():
    return strike_rows


def build_that_dies():
    os._exit(7)


def test_a_stage_whose_loading_kills_every_process_ends_the_run(ray_session):
    with pytest.raises(StageFailure, match="'clean' cannot be loaded: its process died 3 times"):
        in_sandbox(TableWork("clean", build_that_dies), completed({"text": "one"}), DEADLINE_S)


@pytest.mark.parametrize(("whole_documents", "spared"), [(False, {0, 1, 3}), (True, {0, 3})])
def test_what_raises_is_halved_down_to_a_row_or_to_a_document_that_must_stay_whole(whole_documents, spared):
    work = TableWork("stitch", build_strike_rows, whole_documents)
    texts = {0: "one", 1: "two", 2: "<<raise>>", 3: "three"}
    rows = completed(*({"id": str(i), "position": {2: 1}.get(i, i), "text": text} for i, text in texts.items()))
    done = bisect(work, rows).to_pylist()
    assert {int(row["id"]) for row in done if row["reason"] is None} == spared
    assert [row["stage"] for row in done if row["reason"] == "error"] == ["stitch"] * (4 - len(spared))
    assert len(done) == 4


@pytest.mark.parametrize("error", [BadRequest("x"), EngineFailure("x"), KeyboardInterrupt(), ImportError("x")])
def test_what_is_no_rows_fault_stops_the_run(error):
    def build():
        def operator(table):
            raise error

        return operator

    with pytest.raises(type(error)):
        bisect(TableWork("clean", build), completed({"id": "1"}, {"id": "2"}))


def test_a_panic_of_rust_is_the_rows_fault():
    class PanicException(BaseException):
        pass

    def strike(table):
        if table["reason"][0].as_py() is None:
            raise PanicException("called unwrap on a None")
        return table

    rows = bisect(
        TableWork("clean", lambda: lambda t: strike(t) if t["reason"][0].as_py() is None else t),
        completed({"text": "x"}),
    )
    assert rows["detail"].to_pylist() == ["PanicException: called unwrap on a None"]


def engines(report, orders: list[list[str]], build, most: int = 1000):
    """Give the dataset of orders of one request per text, behind one poisoned engine."""
    import ray

    from pipelines.flow.engines.pool import on_engines

    numbers = iter(range(1000))
    blocks = []
    for split, texts in enumerate(orders):
        rows = [
            {"id": f"r{n}", "document_id": f"d{n}", "style": "qa", "source_text": text, "chunk_index": 0, "position": n}
            for text, n in zip(texts, numbers, strict=False)
        ]
        blocks.append(Order(str(split), ((0, 0), (END, 0)), table(REQUESTS, rows)).to_block())
    config = EngineConfig(transformers=TransformersConfig(model="fake"))
    operator = partial(Rephrase, RephraseConfig(styles=["qa"]))
    asking = Asking(REASONS.asking[0], operator, config, CommitConfig(most), FaultConfig(DEADLINE_S))
    return on_engines(ray.data.from_arrow(blocks), asking, 0.5, report, build)


def test_requests_that_kill_or_stop_the_engine_are_found_and_all_others_are_answered(report, tmp_path):
    diary = tmp_path / "diary"
    orders = [["one", "<<die>>", "<<stuck>>", "two", "<<raise>>"], ["three", "four"]]
    rows = collected(engines(report, orders, poisoned_engine(diary, deaths_at_start=1)))
    reasons = {name: row["reason"] for name, row in rows.items() if row["reason"]}
    assert reasons == {"d1": "engine_died", "d2": "engine_died", "d4": "error"}
    assert {row["text"] for row in rows.values() if row["reason"] is None} == {"ONE", "TWO", "THREE", "FOUR"}
    assert {row["stage"] for row in rows.values() if row["reason"]} == {"rephrase"}
    assert set(COMPLETIONS.names) <= set(rows["d1"])


def test_an_engine_whose_process_always_dies_at_start_ends_the_run_with_advice(report, tmp_path):
    import ray

    diary = tmp_path / "diary"
    with pytest.raises(ray.exceptions.RayError):
        collected(engines(report, [["one"]], poisoned_engine(diary, deaths_at_start=99)))
    assert "died 3 times while it started" in ray.get(report.board.why.remote())
    assert diary.read_text().splitlines() == ["start"] * 3


def test_no_more_is_under_way_or_answered_than_may_be_uncommitted(report, tmp_path):
    diary, most, settled = tmp_path / "diary", 6, 0
    dataset = engines(report, [["one", "two"]] * 12, poisoned_engine(diary), most)
    for block in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
        for order in from_block(block):
            asked = diary.read_text().splitlines().count("request")
            assert asked <= 2 * settled + most
            settled += 1
            report.settled([order_key(order)])
    assert settled == 12


@pytest.mark.parametrize(
    "fatal", [None, pytest.param(9, marks=pytest.mark.long)], ids=["quiet", "with deaths in its middle"]
)
def test_a_chain_that_is_longer_than_what_may_be_uncommitted_goes_on_as_its_stretches_are_committed(
    report, tmp_path, fatal
):
    import ray

    from pipelines.flow.engines.pool import on_engines

    diary, most, chunks = tmp_path / "diary", 8, 20
    words = [f"word{n}" if n != fatal else "<<die>>" for n in range(chunks)]
    place = {"document_id": "d", "style": "qa", "source_file": "a", "position": 0}
    rows = [place | {"id": f"r{n}", "source_text": word, "chunk_index": n} for n, word in enumerate(words)]
    orders = ray.data.from_arrow([Order("0", ((0, 0), (END, 0)), table(REQUESTS, rows)).to_block()])
    orders.context.target_max_block_size = 1  # as stream_orders has it: what is finished is not kept for more
    operator = partial(Rephrase, RephraseConfig(styles=["qa"], carry_context=True))
    config = EngineConfig(transformers=TransformersConfig(model="fake"))
    chained = Chained(Place(str(tmp_path / "out"), StorageConfig()), "style", ["qa"], lambda row: row["text"])
    asking = Asking("rephrase", operator, config, CommitConfig(most), FaultConfig(DEADLINE_S), chained)
    dataset, found = on_engines(orders, asking, 0.5, report, poisoned_engine(diary)), []
    for block in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        for order in from_block(block):
            if fatal is None:
                assert diary.read_text().splitlines().count("request") <= 2 * len(found) + most
            found.append(order)
            report.settled([order_key(order)])
    texts = [text for order in found for text in order.rows["text"].to_pylist()]
    assert texts == [None if n == fatal else word.upper() for n, word in enumerate(words)]
    assert [order.span for order in found] == [
        ((0, n), (0, n + 2) if n + 2 < chunks else (END, 0)) for n in range(0, chunks, 2)
    ]
    asked = diary.read_text().splitlines().count("request")
    # The stretch with the death in it, and one more that may not have been known to be settled, are asked anew each time.
    assert asked == chunks if fatal is None else asked <= chunks + 3 * 4
