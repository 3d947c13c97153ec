from operators.rewrite.fan_out import FanOut
from operators.table import CHUNKS, ORIGINAL, REQUESTS
from tests.rows import chunks, documents, table


def fan_out(styles, real, docs, pieces):
    return FanOut(dict.fromkeys(styles, 0), real)(docs, pieces)


def test_each_chunk_is_asked_for_in_each_style_beside_its_siblings():
    rows = fan_out(["qa", "easy"], False, documents("a b"), chunks((0, ["a ", "b"]))).to_pylist()
    assert [(r["chunk_index"], r["style"]) for r in rows] == [(0, "qa"), (0, "easy"), (1, "qa"), (1, "easy")]
    assert [r["source_text"] for r in rows] == ["a ", "a ", "b", "b"]
    assert all(r["text"] is None for r in rows)


def test_real_documents_are_whole_rows_before_their_chunks():
    rows = fan_out(["qa"], True, documents("a b", "c"), chunks((0, ["a ", "b"]), (1, ["c"])))
    assert rows.schema.equals(REQUESTS)
    assert rows["style"].to_pylist() == [ORIGINAL, "qa", "qa", ORIGINAL, "qa"]
    assert rows["text"].to_pylist() == ["a b", None, None, "c", None]
    assert rows["chunk_index"].to_pylist() == [None, 0, 1, None, 0]


def test_a_real_document_weighs_as_many_tokens_as_its_chunks():
    rows = fan_out(["qa"], True, documents("a b c"), chunks((0, ["a b ", "c"]))).to_pylist()
    assert rows[0]["source_tokens"] == 3


def test_rejected_documents_pass_through_once():
    pieces = table(
        CHUNKS,
        [{"document_id": "d1", "source_file": "a.jsonl", "position": 10, "stage": "read", "reason": "null_text"}],
    )
    rows = fan_out(["qa", "easy"], True, documents(None).slice(1), pieces).to_pylist()
    assert [(r["document_id"], r["style"], r["reason"]) for r in rows] == [("d1", None, "null_text")]


def test_ids_are_unique_when_document_ids_are_not():
    docs = documents("x", "x", document_id="same")
    pieces = chunks((0, ["x"]), (1, ["x"]))
    ids = fan_out(["qa", "easy"], True, docs, pieces)["id"].to_pylist()
    assert len(set(ids)) == len(ids) == 6


def test_ids_do_not_depend_on_what_else_is_in_the_table():
    one = fan_out(["qa"], False, documents("x"), chunks((0, ["x"])))["id"].to_pylist()
    both = fan_out(["easy", "qa"], True, documents("x", "y"), chunks((0, ["x"]), (1, ["y"])))
    assert one[0] in both["id"].to_pylist()


def test_a_chunk_too_short_for_a_style_leaves_that_style_alone():
    rows = FanOut({"qa": 2, "easy": 0}, True)(documents("a"), chunks((0, ["a"]))).to_pylist()
    assert [(r["style"], r["reason"]) for r in rows] == [(ORIGINAL, None), ("qa", "source_too_short"), ("easy", None)]
