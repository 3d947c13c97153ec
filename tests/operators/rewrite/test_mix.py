import pytest

from operators.errors import BadRequest
from operators.rewrite.mix import Mix, MixConfig
from operators.table import ORIGINAL
from tests.rows import completed


def order(real: list[int], synthetic: list[int], prefix: str = ""):
    """Documents of the given sizes in tokens, and as many rewrites of them as there are sizes for; a token is a letter."""
    rows = [{"id": f"{prefix}r{i}", "style": ORIGINAL, "source_tokens": n} for i, n in enumerate(real)]
    share = round(sum(real) / len(synthetic)) or 1
    rows += [
        {
            "id": f"{prefix}s{i}",
            "style": "qa",
            "text": "x" * n,
            "source_text": "y" * share,
            "source_tokens": share,
            "completion_tokens": 1000
            if i % 2
            else None,  # thoughts count, or nothing was told: not what the mix is made of
        }
        for i, n in enumerate(synthetic)
    ]
    whole = sum(real) / len(real) if real else 1
    return completed(*({"document_tokens": round(whole)} | row for row in rows))


def kept(table, style):
    return [r for r in table.to_pylist() if r["reason"] is None and (r["style"] == ORIGINAL) == (style == ORIGINAL)]


def test_rows_one_to_one_keeps_as_many_of_each():
    mixed = Mix(MixConfig(by="rows"))(order([60] * 4, [5] * 12))
    assert len(kept(mixed, ORIGINAL)) == len(kept(mixed, "qa")) == 4


def test_rows_one_to_two():
    mixed = Mix(MixConfig(real=1, synthetic=2, by="rows"))(order([60] * 9, [5] * 12))
    assert (len(kept(mixed, ORIGINAL)), len(kept(mixed, "qa"))) == (6, 12)


def test_what_leaves_is_named_and_nothing_vanishes():
    mixed = Mix(MixConfig(by="rows"))(order([60], [5] * 3))
    left = [r for r in mixed.to_pylist() if r["reason"]]
    assert len(mixed) == 4
    assert {(r["stage"], r["reason"]) for r in left} == {("mix", "surplus")}


def test_synthetic_only_drops_no_rewrite():
    mixed = Mix(MixConfig(real=0))(order([], [5, 6, 7]))
    assert len(kept(mixed, "qa")) == 3


def test_tokens_meet_the_proportion_over_many_orders_whatever_the_lengths():
    real = synthetic = 0
    for i in range(400):
        mixed = Mix(MixConfig())(order([400, 90, 10, 700], [50] * 9 + [130 + i % 7], prefix=f"{i}/"))
        real += sum(r["source_tokens"] for r in kept(mixed, ORIGINAL))
        synthetic += sum(len(r["text"]) for r in kept(mixed, "qa"))
    assert real / synthetic == pytest.approx(1, abs=0.05)


def test_the_same_order_gives_the_same_choice_and_another_seed_another():
    table = order([60] * 3, [5] * 30)
    choose = [[r["id"] for r in kept(Mix(MixConfig(by="rows", seed=seed))(table), "qa")] for seed in (0, 0, 1)]
    assert choose[0] == choose[1] != choose[2]


def test_rejected_rows_do_not_count():
    table = order([5] * 2, [5] * 2)
    table = table.set_column(table.schema.get_field_index("reason"), "reason", [[None, None, None, "refusal"]])
    mixed = Mix(MixConfig(by="rows"))(table)
    assert (len(kept(mixed, ORIGINAL)), len(kept(mixed, "qa"))) == (1, 1)


@pytest.mark.parametrize("config", [{"by": "bytes"}, {"real": -1}, {"real": 0, "synthetic": 0}])
def test_impossible_mixes_are_refused(config):
    with pytest.raises(BadRequest, match="mix"):
        Mix(MixConfig(**config))


def test_a_long_document_keeps_its_rewrites_in_the_orders_that_its_original_is_not_in():
    chunks = [
        {"id": f"s{i}", "style": "qa", "completion_tokens": 9, "source_tokens": 10, "document_tokens": 90_000}
        for i in range(30)
    ]
    mixed = Mix(MixConfig())(completed(*chunks))
    assert len(kept(mixed, "qa")) == 30


def test_the_original_of_a_long_document_is_judged_by_what_its_rewrites_promise():
    original = {"style": ORIGINAL, "source_tokens": 90_000, "document_tokens": 90_000}
    chunk = {"style": "qa", "text": "new", "source_text": "old", "source_tokens": 10, "document_tokens": 90_000}
    for i in range(20):
        table = completed({"id": f"{i}", **original}, *({"id": f"{i}/{j}", **chunk} for j in range(30)))
        assert len(kept(Mix(MixConfig())(table), ORIGINAL)) == 1
