import pytest

from pipelines.reasons import has_failed


@pytest.mark.parametrize(
    ("reason", "failed"),
    [
        ("rephrase/bad_request", True),
        ("clean/error", True),
        ("read/unreadable_file", True),
        ("read/deadline", True),  # of a page, too (operators.text.extract.NoText)
        ("read/crash", True),
        ("read/too_large", False),
        ("read/no_main_text", False),
        ("clean/too_short", False),
    ],
)
def test_what_came_to_nothing_by_no_rule_has_failed_and_may_be_done_again(reason, failed):
    assert has_failed(reason, ["rephrase"]) == failed
