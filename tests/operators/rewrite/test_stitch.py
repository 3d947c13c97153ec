from operators.rewrite.stitch import Stitch
from operators.table import ORIGINAL
from tests.rows import completed


def rewrite(position, chunk, style="qa", **more):
    words = {"document_id": f"d{position}", "position": position, "chunk_index": chunk, "style": style}
    text = f"{style}{position}.{chunk}"
    counts = {"source_tokens": 2, "completion_tokens": 3, "prompt_tokens": 5, "cached_tokens": 1}
    return {"id": text, "text": text, "source_text": f"s{chunk} ", **words, **counts, **more}


def test_chunks_of_one_document_and_style_become_one_row_in_order():
    rows = Stitch()(completed(rewrite(0, 1), rewrite(0, 0), rewrite(0, 0, "easy"), rewrite(7, 0))).to_pylist()
    joined = {(r["document_id"], r["style"]): r for r in rows}
    assert len(rows) == 3
    assert joined["d0", "qa"]["text"] == "qa0.0\n\nqa0.1"
    assert joined["d0", "qa"]["source_text"] == "s0 s1 "
    assert joined["d0", "qa"]["chunk_index"] is None
    assert (joined["d0", "qa"]["completion_tokens"], joined["d0", "qa"]["prompt_tokens"]) == (6, 10)


def test_rejected_rewrites_and_originals_stay_as_they_are():
    table = completed(
        {"id": "o", "style": ORIGINAL, "text": "whole", "position": 0},
        rewrite(0, 0),
        rewrite(0, 1, reason="refusal", stage="clean"),
        rewrite(0, 2),
    )
    rows = Stitch()(table).to_pylist()
    assert sorted((r["style"], r["text"], r["reason"]) for r in rows) == [
        (ORIGINAL, "whole", None),
        ("qa", "qa0.0\n\nqa0.2", None),
        ("qa", "qa0.1", "refusal"),
    ]


def test_similarity_is_the_mean_over_chunks_by_tokens():
    rows = Stitch()(completed(rewrite(0, 0, similarity=1.0), rewrite(0, 1, similarity=0.5))).to_pylist()
    assert rows[0]["similarity"] == 0.75
