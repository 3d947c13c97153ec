import numpy as np
import pytest

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.perplexity import Perplexity, PerplexityConfig
from tests.operators.select.selectors.pools import MemoryPool

LOSS = [4.0, 1.0, None, 2.0, 3.0, 0.5]


def choice(rows: int, part_rows: int = 2, **config):
    return Perplexity(PerplexityConfig(**config))(
        MemoryPool({"answer_loss": LOSS}, part_rows=part_rows), Budget(BudgetConfig(rows=rows))
    )


@pytest.mark.parametrize("part_rows", [1, 4, 6])
@pytest.mark.parametrize(
    ("keep", "expected"), [("lowest", [5, 1, 3, 4, 0]), ("highest", [0, 4, 3, 1, 5]), ("middle", [3, 1, 4, 5, 0])]
)
def test_rows_are_chosen_from_the_end_that_is_asked_for(keep, expected, part_rows):
    for rows in range(6):  # the median of the losses is 2; 1 and 3 are equally far, the earlier position wins
        assert choice(rows, part_rows, keep=keep).positions.tolist() == expected[:rows]


def test_the_score_is_the_perplexity_or_the_distance_to_the_median():
    np.testing.assert_allclose(choice(2, keep="lowest").scores, [np.exp(0.5), np.exp(1.0)])
    middle = choice(5, keep="middle")
    np.testing.assert_allclose(middle.scores, [0, -1, -1, -1.5, -2])
    assert middle.notes["median_loss"] == 2.0


def test_an_unknown_end_is_refused():
    with pytest.raises(BadRequest, match="lowest, highest, middle"):
        PerplexityConfig(keep="best")
