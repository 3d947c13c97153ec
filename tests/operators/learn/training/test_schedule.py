import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.learn.training.config import SCHEDULES, ScheduleConfig
from operators.learn.training.schedule import learning_rate_share


def rates(steps, **settings):
    return [learning_rate_share(step, steps, ScheduleConfig(**settings)) for step in range(steps)]


@given(
    st.sampled_from(SCHEDULES), st.integers(1, 300), st.none() | st.integers(0, 50), st.floats(0, 1), st.floats(0, 1)
)
def test_the_rate_rises_to_the_peak_and_never_rises_again(name, steps, warmup, decay, least):
    shares = rates(steps, name=name, warmup_steps=warmup, decay_share=decay, min_lr_share=least)
    top = shares.index(max(shares))
    assert shares[: top + 1] == sorted(shares[: top + 1])
    assert shares[top:] == sorted(shares[top:], reverse=True)
    assert min(shares) >= 0 and max(shares) <= 1


def test_warm_up_is_linear_and_ends_at_the_peak():
    assert rates(20, name="constant", warmup_steps=3)[:5] == [0.25, 0.5, 0.75, 1, 1]


@pytest.mark.parametrize("name", ["cosine", "wsd"])
@pytest.mark.parametrize(("steps", "warmup"), [(50, 5), (50, 48), (50, 49), (50, 60), (2, None), (1, None), (1, 5)])
def test_the_last_step_has_the_least_rate(name, steps, warmup):
    assert rates(steps, name=name, warmup_steps=warmup, min_lr_share=0.1)[-1] == pytest.approx(0.1)


def test_a_run_of_one_step_has_no_warm_up():
    assert rates(1, name="constant") == rates(1, name="constant", warmup_steps=3) == [1.0]


def test_cosine_is_halfway_in_the_middle():
    assert rates(11, warmup_steps=0, min_lr_share=0)[5] == pytest.approx(0.5)


def test_linear_falls_in_equal_steps_to_0_after_the_last():
    assert rates(5, name="linear", warmup_steps=1) == [0.5, 1, 0.75, 0.5, 0.25]


def test_the_epochs_of_a_linear_run_have_the_mean_rates_that_less_weighs_them_with():
    """The four weights are those of LESS's published run: 3% warm-up, peak 2e-5; the same at any number of steps."""
    shares = [2e-5 * rate for rate in rates(4 * 422, name="linear", warmup_steps=51)]
    means = [sum(shares[epoch * 422 : (epoch + 1) * 422]) / 422 for epoch in range(4)]
    assert means == pytest.approx([1.6877e-05, 1.2859e-05, 7.7030e-06, 2.5616e-06], rel=0.01)


def test_wsd_stays_at_the_peak_until_it_falls_in_a_line():
    shares = rates(101, name="wsd", warmup_steps=0, decay_share=0.2, min_lr_share=0)
    assert set(shares[:80]) == {1.0}
    assert shares[80:] == pytest.approx([1 - past / 21 for past in range(1, 22)])


@pytest.mark.parametrize(("steps", "share", "falling"), [(5, 0.2, 1), (4, 0.01, 1), (100, 0.07, 7), (50, 0, 0)])
def test_wsd_falls_in_as_many_steps_as_its_share_is(steps, share, falling):
    shares = rates(steps, name="wsd", warmup_steps=0, decay_share=share, min_lr_share=0)
    assert sum(rate < 1 for rate in shares) == falling


def test_warm_up_is_one_percent_unless_told():
    assert rates(1000, name="constant").index(1.0) == 10
