"""A run is killed while two of its stages are at work; the same command goes on with both."""

import os
import signal
import sys

import pytest

from pipelines.ledger.proof.verify import verify
from pipelines.ledger.reading import read_records
from tests.chaos.processes import Run, wait_for
from tests.pipelines.chain import place_of

pytestmark = [pytest.mark.ray, pytest.mark.long]


@pytest.mark.timeout(300)
def test_a_run_killed_while_two_stages_are_at_work_goes_on_with_both(tmp_path):
    command = [sys.executable, "-m", "tests.pipelines.run.slips", str(tmp_path)]
    begun = [tmp_path / f"{word}.begun" for word in ("one", "two")]
    first = Run(command, tmp_path / "first.log", os.getcwd(), dict(os.environ))

    def both_at_work() -> bool:
        first.family.look()
        return all(file.exists() for file in begun)

    try:
        assert wait_for(both_at_work, 120), first.last_words()
        first.process.send_signal(signal.SIGKILL)
    finally:
        first.process.wait()
        first.family.end(patience_s=30)
    for file in begun:
        file.unlink()
    (tmp_path / "go").touch()
    again = Run(command, tmp_path / "again.log", os.getcwd(), dict(os.environ))
    try:
        assert wait_for(lambda: again.code is not None, 120) and again.code == 0, again.last_words()
    finally:
        again.family.end(patience_s=30)
    assert all(file.exists() for file in begun)
    for word in ("one", "two", "last"):
        place = place_of(tmp_path / word)
        assert verify(place).whole and read_records(place).now().counts == {"kept": {"rows": 1}}
