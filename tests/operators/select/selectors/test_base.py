import numpy as np
import pytest

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, BudgetConfig


def test_a_share_is_rounded_down():
    assert Budget(BudgetConfig(share=0.3)).rows(9) == 2


def test_more_rows_than_are_eligible_is_an_error_or_all_of_them():
    with pytest.raises(BadRequest, match="10 rows, and only 9"):
        Budget(BudgetConfig(rows=10)).rows(9)
    with pytest.raises(BadRequest, match=r"9 rows are eligible \(could not be chosen: no_target 1, too_long 1,200\)"):
        Budget(BudgetConfig(rows=10)).rows(9, {"too_long": 1200, "no_target": 1})
    assert Budget(BudgetConfig(rows=10, allow_short=True)).rows(9) == 9


def test_a_budget_of_tokens_ends_at_the_first_row_that_does_not_fit():
    budget = Budget(BudgetConfig(tokens=10), np.array([4, 6, 1, 7]))
    assert budget.prefix(np.array([0, 1, 2])).tolist() == [0, 1]
    assert budget.prefix(np.array([0, 3, 2])).tolist() == [0]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"rows": 1, "share": 0.5},
        {"rows": -1},
        {"tokens": -1},
        {"share": 1.5},
        {"share": float("nan")},
        {"tokens": 9},
    ],
)
def test_a_budget_that_cannot_be_is_refused(given):
    with pytest.raises(BadRequest, match="budget"):
        Budget(BudgetConfig(**given))


def test_more_tokens_than_there_are_is_an_error_unless_it_may_be_short():
    tokens_N = np.array([3, 4])
    with pytest.raises(BadRequest, match="have 7"):
        Budget(BudgetConfig(tokens=8), tokens_N)
    assert Budget(BudgetConfig(tokens=8, allow_short=True), tokens_N).prefix(np.array([1, 0])).tolist() == [1, 0]
