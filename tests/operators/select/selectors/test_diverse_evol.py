import pytest

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.diverse_evol import DiverseEvol, DiverseEvolConfig
from tests.operators.select.selectors.pools import MemoryPool


def test_the_picks_of_all_rounds_are_the_choice_in_their_order():
    selector = DiverseEvol(DiverseEvolConfig(), positions=[4, 0, 2])
    choice = selector(MemoryPool({"id": list("abcde")}), Budget(BudgetConfig(rows=3)))
    assert choice.positions.tolist() == [4, 0, 2]


def test_rounds_share_the_rows_of_the_budget():
    assert DiverseEvolConfig(rounds=2).sizes(9) == [3, 3, 3]
    assert DiverseEvolConfig(rounds=3, first=1).sizes(8) == [1, 2, 2, 3]


@pytest.mark.parametrize(
    ("settings", "rows"), [({"rounds": 0}, 9), ({"first": 0}, 9), ({"rounds": 9}, 5), ({"first": 9}, 9)]
)
def test_rounds_that_cannot_be_are_refused(settings, rows):
    with pytest.raises(BadRequest, match="diverse_evol"):
        DiverseEvolConfig(**settings).sizes(rows)
