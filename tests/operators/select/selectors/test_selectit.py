import math

import numpy as np
import pyarrow as pa
import pytest

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.selectit import SelectIt, SelectItConfig, sentence_rating, token_ratings
from tests.operators.select.selectors.pools import MemoryPool

EXAMPLE = np.log([0.1, 0.1, 0.2, 0.2, 0.4])


def plain_token(probabilities: list[float], released: bool = False) -> float:
    """The rating by one prompt, written from the paper's words."""
    total = sum(probabilities)
    shares = [probability / total for probability in probabilities]
    if released:
        exponentials = [math.exp(share) for share in shares]
        shares = [each / sum(exponentials) for each in exponentials]
    best = max(shares)
    rating = shares.index(best) + 1
    return rating * sum(abs(share - best) for share in shares) / (len(shares) - 1)


def plain_sentence(ratings: list[float], alpha: float) -> float:
    mean = sum(ratings) / len(ratings)
    deviation = math.sqrt(sum((rating - mean) ** 2 for rating in ratings) / len(ratings))
    return mean / (1 + alpha * deviation)


def some_logits(rows: int, prompts: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2, (rows, prompts, 5)).astype(np.float32)


def column(logits_NPJ: np.ndarray, missing: tuple[int, ...] = ()) -> pa.Array:
    rows = [None if row in missing else values.reshape(-1).tolist() for row, values in enumerate(logits_NPJ)]
    return pa.array(rows, pa.list_(pa.float32()))


def test_the_example_of_the_specification_has_both_values():
    assert token_ratings(EXAMPLE[None, None])[0, 0] == pytest.approx(1.25)
    assert token_ratings(EXAMPLE[None, None], second_softmax=True)[0, 0] == pytest.approx(0.267, abs=5e-4)


@pytest.mark.parametrize("released", [False, True])
def test_token_ratings_are_those_of_a_plain_loop(released):
    logits_NPJ = some_logits(20)
    given = token_ratings(logits_NPJ, second_softmax=released)
    for row, prompt in np.ndindex(20, 5):
        probabilities = np.exp(logits_NPJ[row, prompt].astype(float)).tolist()
        assert given[row, prompt] == pytest.approx(plain_token(probabilities, released), abs=1e-6)


def test_scaling_all_probabilities_changes_nothing_and_equal_ones_give_zero():
    logits_NPJ = some_logits(4).astype(np.float64)
    np.testing.assert_allclose(token_ratings(logits_NPJ - 90), token_ratings(logits_NPJ), atol=1e-12)
    assert (token_ratings(np.full((1, 3, 5), -7.0)) == 0).all()
    assert (token_ratings(np.full((1, 1, 5), -2000.0)) == 0).all()  # where a full softmax would have 0/0


def test_the_lowest_rating_wins_a_tie():
    tied = np.log([0.4, 0.1, 0.05, 0.05, 0.4])[None, None]
    assert token_ratings(tied)[0, 0] == pytest.approx(plain_token([0.4, 0.1, 0.05, 0.05, 0.4]))
    assert token_ratings(tied)[0, 0] == pytest.approx(1 * (0.3 + 0.35 + 0.35) / 4)


def test_with_one_prompt_the_sentence_level_is_the_token_level():
    ratings_BP = token_ratings(some_logits(6, prompts=1))
    np.testing.assert_array_equal(sentence_rating(ratings_BP, 0.2), ratings_BP[:, 0])


def test_every_level_orders_rows_by_its_own_formula():
    small, large, alpha = some_logits(12, seed=1), some_logits(12, seed=2), 0.2
    pool = MemoryPool(
        {"digit_logits": column(small), "digit_logits_0": column(small), "digit_logits_1": column(large)}, part_rows=5
    )

    def sentences(logits_NPJ):
        return [
            plain_sentence([plain_token(np.exp(one.astype(float)).tolist()) for one in row], alpha)
            for row in logits_NPJ
        ]

    expected = {
        "token": [plain_token(np.exp(row[0].astype(float)).tolist()) for row in small],
        "sentence": sentences(small),
        "model": [(1.5 * a + 7 * b) / 8.5 for a, b in zip(sentences(small), sentences(large), strict=True)],
    }
    for level, scores in expected.items():
        config = SelectItConfig(level=level, theta=[1.5, 7] if level == "model" else [])
        choice = SelectIt(config)(pool, Budget(BudgetConfig(rows=12)))
        assert choice.positions.tolist() == sorted(range(12), key=lambda row: (-scores[row], row))
        np.testing.assert_allclose(choice.scores, sorted(scores, reverse=True), atol=1e-6)


def test_a_row_without_ratings_is_never_chosen_and_moves_no_other_score():
    logits_NPJ = some_logits(7)
    whole, holed = (
        SelectIt(SelectItConfig())(
            MemoryPool({"digit_logits": column(logits_NPJ, missing)}),
            Budget(BudgetConfig(rows=7, allow_short=True)),
        )
        for missing in ((), (0, 4))
    )
    scores = dict(zip(whole.positions.tolist(), whole.scores, strict=True))
    assert set(holed.positions.tolist()) == {1, 2, 3, 5, 6}
    assert all(scores[row] == score for row, score in zip(holed.positions.tolist(), holed.scores, strict=True))
    assert holed.excluded == {"no_score": 2}


def test_a_row_that_one_of_several_models_could_not_rate_keeps_the_reason():
    columns = {
        "digit_logits_0": column(some_logits(3), (2,)),
        "digit_logits_1": column(some_logits(3), (1, 2)),
        "digit_logits_0.reason": [None, None, "too_long"],
        "digit_logits_1.reason": [None, "no_prompt", "no_prompt"],
    }
    config = SelectItConfig(level="model", theta=[1.0, 2.0])
    choice = SelectIt(config)(MemoryPool(columns), Budget(BudgetConfig(rows=1)))
    assert choice.positions.tolist() == [0] and choice.excluded == {"no_prompt": 1, "too_long": 1}


def test_the_second_softmax_of_the_release_changes_who_is_first():
    """A row that is surely a 2 against one that leans to a 5."""
    sure, leaning = np.log([0.001, 0.99, 0.003, 0.003, 0.003]), np.log([0.1, 0.1, 0.1, 0.15, 0.55])
    pool = MemoryPool({"digit_logits": column(np.stack([sure, leaning])[:, None])})
    ratings = {
        variant: SelectIt(SelectItConfig(variant=variant))(pool, Budget(BudgetConfig(rows=2)))
        for variant in ("default", "as_released")
    }
    assert ratings["default"].positions.tolist() == [1, 0]
    assert ratings["as_released"].positions.tolist() == [0, 1]
    for variant, choice in ratings.items():
        expected = [plain_token(np.exp(row).tolist(), variant == "as_released") for row in (sure, leaning)]
        np.testing.assert_allclose(choice.scores[np.argsort(choice.positions)], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"level": "word"}, "token, sentence, model"),
        ({"alpha": -1.0}, "alpha"),
        ({"level": "model"}, r"selectit.theta=\[1.5,7\]"),
        ({"level": "model", "theta": [1.5, 0.0]}, "above 0"),
        ({"variant": "released"}, "as_released"),
    ],
)
def test_settings_that_cannot_be_are_refused(config, message):
    with pytest.raises(BadRequest, match=message):
        SelectItConfig(**config)
