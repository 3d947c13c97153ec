import numpy as np
import pytest

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.cross_entropy import CrossEntropy, CrossEntropyConfig
from operators.select.selectors.picking.ranking import GumbelConfig
from tests.operators.select.selectors.pools import MemoryPool

LOSS = [1.0, 3.0, None, 2.0, 3.0, 0.5]


def chosen(rows: int, part_rows: int = 2, gumbel: GumbelConfig | None = None, **config) -> list[int]:
    pool = MemoryPool({"answer_loss": LOSS, "released_cross_entropy": LOSS[::-1]}, part_rows=part_rows)
    choice = CrossEntropy(CrossEntropyConfig(**config), gumbel)(pool, Budget(BudgetConfig(rows=rows)))
    return choice.positions.tolist()


@pytest.mark.parametrize("part_rows", [1, 2, 6])
def test_the_highest_losses_are_chosen_and_equal_ones_by_position(part_rows):
    assert chosen(5, part_rows) == [1, 4, 3, 0, 5]
    assert chosen(2, part_rows) == [1, 4]
    assert chosen(0, part_rows) == []


def test_a_row_without_a_loss_is_never_chosen_and_is_counted():
    with pytest.raises(BadRequest, match="only 5 rows are eligible"):
        chosen(6)
    pool = MemoryPool({"answer_loss": LOSS})
    choice = CrossEntropy(CrossEntropyConfig())(pool, Budget(BudgetConfig(rows=9, allow_short=True)))
    assert 2 not in choice.positions and len(choice.positions) == 5
    assert choice.excluded == {"no_score": 1}
    np.testing.assert_array_equal(choice.scores, [3, 3, 2, 1, 0.5])


@pytest.mark.parametrize("part_rows", [1, 2, 6])
def test_rows_without_a_loss_keep_the_reason_of_the_measure(part_rows):
    reasons = [None, "no_prompt", "too_long", None, None, None]
    pool = MemoryPool({"answer_loss": LOSS, "answer_loss.reason": reasons}, part_rows=part_rows)
    assert CrossEntropy(CrossEntropyConfig())(pool, Budget(BudgetConfig(rows=5))).excluded == {"too_long": 1}


def test_as_released_goes_by_the_loss_of_the_release():
    assert chosen(2, variant="as_released") == [1, 4]
    assert chosen(3, variant="as_released") == [1, 4, 2]
    assert 2 not in chosen(5)


def test_a_temperature_draws_other_rows_than_the_best():
    assert any(chosen(2, gumbel=GumbelConfig(tau=5.0, seed=seed)) != [1, 4] for seed in range(5))


def test_an_unknown_variant_is_refused():
    with pytest.raises(BadRequest, match="default or as_released"):
        CrossEntropyConfig(variant="released")
