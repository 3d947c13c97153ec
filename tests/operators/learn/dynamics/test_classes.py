import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from operators.errors import BadRequest
from operators.learn.dynamics import (
    CLASSES,
    UNDEFINED,
    DynamicsConfig,
    TokenStatistics,
    classify,
    curves_of,
    mean_last_loss,
    totals_of,
)

NAN = np.nan
LOSSES = st.integers(2, 9).flatmap(lambda x: arrays(np.float16, (x, 5), elements=st.floats(0, 20, width=16)))


def watched(losses_XN) -> TokenStatistics:
    statistics = TokenStatistics(np.shape(losses_XN)[1:])
    for losses_N in losses_XN:
        statistics.add(np.asarray(losses_N))
    return statistics


def names(losses_XN, mean: float, threshold: float = 0.2) -> list[str]:
    code = classify(watched(losses_XN), mean, threshold).code
    return [CLASSES[c] if c != UNDEFINED else "undefined" for c in code]


@given(LOSSES)
def test_the_streamed_line_is_the_least_squares_line_of_all_losses(losses_XN):
    losses_XN = losses_XN.astype(np.float64)
    classes = classify(watched(losses_XN), 1.0)
    x = np.arange(len(losses_XN))
    slope_N, start_N = np.polyfit(x, losses_XN, 1)
    np.testing.assert_allclose(classes.slope, slope_N, atol=1e-9)
    np.testing.assert_allclose(classes.start, start_N, atol=1e-9)
    np.testing.assert_allclose(classes.change, slope_N * x[-1], atol=1e-9)
    if len(x) > 2:
        residuals_XN = losses_XN - (slope_N * x[:, None] + start_N)
        np.testing.assert_allclose(classes.variance, (residuals_XN**2).sum(axis=0) / (len(x) - 2), atol=1e-9)
    else:
        assert np.isnan(classes.variance).all()


def test_classes_are_those_of_the_papers_table():
    falls, rises, high, low = [3, 2], [1, 2], [3, 3.1], [1, 1.1]
    assert names(np.transpose([falls, rises, high, low]), mean=2.0) == ["H→L", "L→H", "H→H", "L→L"]


def test_a_change_of_just_the_threshold_is_flat_and_a_loss_of_just_the_mean_is_low():
    by = 0.25  # exact in binary
    losses_XN = np.array([[1, 1, 1, 1.0], [1 + by, 1 - by, 1 + by + 2**-20, 1 - by - 2**-20]])
    assert names(losses_XN, mean=1 + by, threshold=by) == ["L→L", "L→L", "L→H", "H→L"]


def test_a_change_of_just_a_decimal_threshold_is_flat_too():
    assert names(np.array([[1.2, 1.0, 0.7], [1.0, 1.2, 0.9]]), mean=1.1) == ["L→L", "H→H", "L→L"]


def test_flat_tokens_go_by_their_raw_last_loss_not_by_the_fitted_end():
    losses_XN = np.array([[2.0], [2.0], [2.2], [2.0], [2.0], [2.0], [2.06]])
    fitted_end = classify(watched(losses_XN), 9.0)
    assert float((fitted_end.start + fitted_end.change)[0]) < 2.05
    assert names(losses_XN, mean=2.05) == ["H→H"]


def test_the_change_is_that_of_the_line_not_of_the_ends():
    losses_XN = np.array([[2.0], [3.0], [3.0], [1.9]])  # the ends differ by 0.1, the line is all but flat
    assert names(losses_XN, mean=1.0) == ["H→H"]
    losses_XN = np.array([[2.0], [1.0], [3.0], [2.0]])  # the ends are equal, the line rises by 0.6
    assert names(losses_XN, mean=1.0) == ["L→H"]


def test_undefined_tokens_have_no_class_and_count_nowhere():
    losses_XN = np.array([[NAN, 1.0, 3.0], [NAN, 1.0, 1.0]])
    classes = classify(watched(losses_XN), mean_last_loss([watched(losses_XN)]))
    assert names(losses_XN, 1.0)[0] == "undefined"
    totals, curves = totals_of(classes), curves_of(classes.code, losses_XN)
    assert totals.tokens_C.tolist() == curves.tokens_C.tolist() == [0, 0, 1, 1]
    assert totals.share_C.tolist() == [0, 0, 0.5, 0.5]
    assert curves.mean_X.tolist() == [2.0, 1.0]


@pytest.mark.parametrize("checkpoints", [0, 1])
def test_fewer_than_two_checkpoints_are_refused(checkpoints):
    with pytest.raises(BadRequest, match=f"{checkpoints} checkpoints show no change"):
        classify(watched(np.ones((checkpoints, 3))), 1.0)


@given(LOSSES)
def test_curves_are_the_mean_losses_of_each_class_and_add_up_over_shards(losses_XN):
    statistics = watched(losses_XN)
    classes = classify(statistics, mean_last_loss([statistics]))
    left, right = (curves_of(classes.code[part], losses_XN[:, part]) for part in (slice(2), slice(2, None)))
    curves = left + right
    for c in range(len(CLASSES)):
        members = losses_XN[:, classes.code == c].astype(np.float64)
        expected_X = members.mean(axis=1) if members.size else np.full(len(losses_XN), NAN)
        np.testing.assert_allclose(curves.means_XC[:, c], expected_X)
    np.testing.assert_allclose(curves.mean_X, losses_XN.astype(np.float64).mean(axis=1))


def test_totals_add_up_over_shards():
    losses_XN = np.array([[3.0, 1, 2, 0], [1.0, 3, 2, 0], [1.0, 3, 2.1, 0]])
    classes = [classify(watched(losses_XN[:, part]), 1.0) for part in (slice(1), slice(1, 4))]
    added, whole = totals_of(classes[0]) + totals_of(classes[1]), totals_of(classify(watched(losses_XN), 1.0))
    np.testing.assert_array_equal(added.tokens_C, whole.tokens_C)
    np.testing.assert_allclose(added.change_C, whole.change_C)
    np.testing.assert_allclose(added.variance_C, whole.variance_C)
    assert whole.change_C[CLASSES.index("H→L")] == -2.0


@pytest.mark.parametrize("threshold", [-0.1, float("inf"), NAN])
def test_a_threshold_is_a_number_of_nats(threshold):
    with pytest.raises(BadRequest, match=r"dynamics\.threshold"):
        DynamicsConfig(threshold)
