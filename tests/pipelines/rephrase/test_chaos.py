"""What a killed run leaves behind: the same command goes on, and nothing is lost, done twice or different.

The short form of `python -m benchmarks.chaos`, with strikes that are chosen and not drawn.
"""

import pytest

from tests.chaos.rows import Difference, compare
from tests.chaos.scene import scene
from tests.chaos.strikes import Strike
from tests.chaos.trial import Trial

MOST_PAID_TWICE = 100


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    bound = [f"commit.max_uncommitted_requests={MOST_PAID_TWICE}"]
    with scene(tmp_path_factory.mktemp("chaos"), documents=240, latency=0.15, settings=bound) as here:
        yield here


def carry_out(here, name: str, place: str, *strikes: Strike):
    outcome = Trial(here, name, place, joined=False).carry_out(list(strikes))
    assert outcome.good, outcome
    assert outcome.most_reissued <= MOST_PAID_TWICE, outcome
    assert len(outcome.hits) == len(strikes), f"the run was over before all strikes fell: {outcome}"
    return outcome


@pytest.mark.ray
def test_a_killed_driver_loses_nothing_and_its_rest_is_done_once(here):
    late = here.undisturbed.requests * 3 // 4
    assert carry_out(here, "driver", "local", Strike("driver", "SIGKILL", after=late)).codes == [-9, 0]


@pytest.mark.long
@pytest.mark.ray
def test_a_run_outlives_the_death_of_its_engine_and_of_a_worker(here):
    strikes = Strike("engine", "SIGKILL", after=150), Strike("task", "SIGKILL", after=150)
    assert carry_out(here, "workers", "local", *strikes).codes == [0]


@pytest.mark.long
@pytest.mark.ray
def test_a_run_outlives_an_interruption_of_its_storage(here):
    assert carry_out(here, "storage", "s3", Strike("proxy", "SIGKILL", after=150, pause_s=2.0)).codes == [0]


def test_every_kind_of_difference_is_seen():
    expected = {"a": ("data", None, "one"), "b": ("data", None, "two"), "c": ("rejected", "length", None)}
    rows = list(expected.items())
    assert not compare(rows, expected)
    assert compare(rows[1:], expected) == Difference(lost=1)
    assert compare([*rows, rows[0]], expected) == Difference(doubled=1)
    assert compare([*rows[:2], ("c", ("data", None, None))], expected) == Difference(differing=1)
    assert compare([*rows, ("d", rows[0][1])], expected) == Difference(differing=1)
