import pytest

from pipelines.pack.card import PackCard
from pipelines.rephrase.card import RephraseCard
from pipelines.run.card import read_of

LOST = {"read/corrupt_file": 2, "read/unreadable_file": 1, "read/broken_record": 7, "read/null_text": 5}


def test_documents_whose_number_nobody_knows_are_no_documents_but_told():
    counts = {"documents": 1100, "rejected": {"document": LOST}}
    assert read_of(counts) == [
        ("documents read", "1,097"),
        (
            "could not be read",
            "3 places, named in rejected/ (corrupt_file 2, unreadable_file 1); it is not known how many documents they held",
        ),
    ]
    assert read_of({"documents": 7, "rejected": {"document": {"read/null_text": 7}}}) == [("documents read", "7")]


def test_cards_tell_what_could_not_be_read():
    counts = {"documents": 4, "rejected": {"document": LOST}, "kept": {"packed": 1}}
    packing = {"window": 8, "cross_document": True, "tokenizer": "", "vocabulary": 8, "eos": 0}
    assert any("not known" in told for _, told in RephraseCard().facts({}, counts))
    recipe = {"fingerprint": {"packing": packing}, "config": {"pack": {"template": None}}}
    assert any("not known" in told for _, told in PackCard().facts(recipe, counts))


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        (
            {"longer": {"truncated": 2}, "rejected": {"document": {"pack/no_target": 1}}},
            ["2 (truncated 2)", "pack/no_target 1"],
        ),
        ({"unplaced": {"tools": 3}}, ["tools 3"]),
        ({}, []),
    ],
)
def test_what_was_left_out_of_packed_rows_is_told_of_a_stage_too(counts, told):
    recipe = {"config": {"pack": {"template": "alpaca"}}}
    assert [value for _, value in PackCard().left_out(recipe, counts)] == told
