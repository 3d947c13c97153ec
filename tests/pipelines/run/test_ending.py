"""What a run says where it kept nothing, and when that is no success."""

import pytest

from operators.storage.config import StorageConfig
from operators.storage.place import Place
from pipelines.exits import RunFailed
from pipelines.pack.card import PackCard
from pipelines.rephrase.card import RephraseCard
from pipelines.run.ending import tell_end
from tests.pipelines.ledger.finished import FORM, artifact


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    """An artifact in which a unit has left as rephrase/timeout, and one as clean/refusal."""
    place = Place(str(tmp_path_factory.mktemp("out")), StorageConfig())
    artifact(place)
    return place


def end(place: Place, card=RephraseCard, kept: dict | None = None, **rejected: dict) -> list[str]:
    said: list[str] = []
    tell_end(card(), FORM.units, place, {"kept": kept or {}, "rejected": rejected}, said.append)
    return said


def test_where_rules_alone_left_nothing_all_is_well(place):
    (said,) = end(place, medium={"clean/refusal": 3, "faithful/facts_lost": 2}, document={"chunk/too_short": 1})
    assert (
        said.startswith("note: nothing was kept at ")
        and "3 of 6 came to nothing as clean/refusal. For example a10" in said
    )
    assert said.endswith("They stand in rejected/.")
    assert end(place, kept={"original": 9}, document={"chunk/too_short": 3})[0].startswith("note: ")


@pytest.mark.parametrize(
    ("rejected", "words"),
    [
        ({"medium": {"rephrase/timeout": 3}}, "3 of 3 came to nothing as rephrase/timeout. For example a0"),
        ({"medium": {"clean/refusal": 51}, "qa": {"rephrase/timeout": 49}},
         "51 of 100 came to nothing as clean/refusal, 49 as rephrase/timeout. For example a0"),
        ({"medium": {"rephrase/timeout": 51, "clean/refusal": 49}}, "51 of 100 came to nothing as rephrase/timeout. For"),
        ({"medium": {"clean/refusal": 9, "clean/truncated": 1}}, "came to nothing as clean/refusal, 1 as clean/truncated."),
        ({"medium": {"clean/refusal": 9}, "document": {"read/unreadable_file": 1}}, "1 as read/unreadable_file."),
    ],
)  # fmt: skip
def test_where_but_one_row_left_by_no_rule_that_nothing_was_kept_is_a_failure(place, rejected, words):
    with pytest.raises(RunFailed) as failed:
        end(place, **rejected)
    assert words in str(failed.value) and str(failed.value).endswith("--new begins another artifact.")
    again = "`--retry failed` does it again" in str(failed.value)
    assert again == ("truncated" not in words)


def test_each_reason_of_a_pipeline_without_rules_is_a_failure(place):
    with pytest.raises(RunFailed, match="2 of 2 came to nothing as pack/too_long"):
        end(place, PackCard, document={"pack/too_long": 2})


def test_rows_that_were_too_many_are_not_nothing_in_the_input(place):
    assert end(place, medium={"mix/surplus": 49}) == [
        "note: no row was kept: all 49 rows were good, and left as mix/surplus."
    ]
    assert end(place) == ["note: no row was kept: there was nothing in the input."]
    with pytest.raises(RunFailed, match="1 of 1 came to nothing as rephrase/timeout"):
        end(place, medium={"mix/surplus": 49, "rephrase/timeout": 1})


def test_what_failed_is_told_though_much_was_kept(place):
    assert end(place, kept={"medium": 1}, medium={"rephrase/timeout": 18, "clean/refusal": 2}) == [
        "18 units failed and stand in rejected/ with their reason. `--retry failed` does them again."
    ]
