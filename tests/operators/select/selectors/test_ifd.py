import numpy as np
import pytest

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.ifd import Ifd, IfdConfig, difficulty
from tests.operators.select.selectors.pools import MemoryPool

ANSWER = [1.0, 3.0, None, 2.0, 1.0, 1.0, 0.5, 0.9]
DIRECT = [2.0, 2.0, 2.0, 2.0, None, 1.2, 0.0, 1.8]
RATIO = {0: 0.5, 3: 1.0, 5: 1 / 1.2, 7: 0.5}


def choose(rows: int, part_rows: int = 3, columns: dict | None = None, **config):
    columns = columns or {"answer_loss": ANSWER, "direct_loss": DIRECT}
    pool = MemoryPool(columns, part_rows=part_rows)
    return Ifd(IfdConfig(**config))(pool, Budget(BudgetConfig(rows=rows)))


@pytest.mark.parametrize("part_rows", [1, 3, 8])
def test_the_largest_ratios_up_to_one_are_chosen_and_equal_ones_by_position(part_rows):
    choice = choose(4, part_rows)
    assert choice.positions.tolist() == [3, 5, 0, 7]
    np.testing.assert_allclose(choice.scores, [RATIO[row] for row in choice.positions])


def test_rows_above_one_and_rows_without_a_ratio_are_named():
    assert choose(1).excluded == {"above_one": 1, "no_score": 2, "no_direct_loss": 1}
    with pytest.raises(BadRequest, match="only 4 rows are eligible"):
        choose(5)


def test_rows_without_a_loss_keep_the_reason_of_the_measure():
    reasons = ["no_label", None, "too_long", None, "no_prompt", None, None, None]
    measured = {"answer_loss.reason": reasons, "direct_loss.reason": reasons}
    choice = choose(1, columns={"answer_loss": ANSWER, "direct_loss": DIRECT} | measured)
    assert choice.excluded == {"above_one": 1, "no_direct_loss": 1, "too_long": 1, "no_prompt": 1}


def test_the_two_forms_have_the_values_of_the_specification():
    """Conditioned 1, 2, 3 and direct 2, 2, 4, token by token."""
    answer, direct = np.array([np.mean([1, 2, 3])]), np.array([np.mean([2, 2, 4])])
    assert difficulty(answer, direct, "loss")[0] == pytest.approx(0.75)
    assert difficulty(answer, direct, "ppl")[0] == pytest.approx(0.513, abs=5e-4)


def test_the_form_of_perplexities_ranks_by_the_difference():
    columns = {"answer_loss": [0.2, 3.0], "direct_loss": [0.3, 4.0]}
    assert choose(1, columns=columns).positions.tolist() == [1]
    assert choose(1, columns=columns, form="ppl").positions.tolist() == [0]


def test_as_released_goes_by_the_losses_of_the_release():
    columns = {
        "answer_loss": [1.0, 1.0],
        "direct_loss": [2.0, 1.5],
        "released_answer_loss": [1.0, 1.0],
        "released_direct_loss": [1.5, 2.0],
    }
    assert choose(1, columns=columns).positions.tolist() == [1]
    assert choose(1, columns=columns, variant="as_released").positions.tolist() == [0]


@pytest.mark.parametrize("config", [{"form": "ratio"}, {"variant": "released"}])
def test_settings_that_cannot_be_are_refused(config):
    with pytest.raises(BadRequest, match=f"ifd.{next(iter(config))}"):
        IfdConfig(**config)
