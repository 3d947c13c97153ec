"""One row that raises, hangs or kills its process leaves alone; the other rows of its batch go on.

A stage notes at the scoreboard what it begins. Normally it then works in its own process: what raises is halved until the
row to blame is alone, and what hangs has its process ended. Ray then runs the task again, and where a process has died of
some work before, this work is done in a process apart, which may die: halved again, until the row to blame is alone.
"""

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pipelines.flow.board.reporter import Reporter
from pipelines.flow.faults.bisect import Work, bisect
from pipelines.flow.faults.sandbox import in_sandbox

STDERR = 2


@dataclass
class Isolation:
    """Handed to the tasks of a run, which do their work through it."""

    report: Reporter
    deadline_s: float

    def run(self, works: list[Work], key: str, batch: Any) -> Any:
        """Do one work after the other on a batch; `key` names the batch in the whole run."""
        with self.noted(f"{works[0].stage}|{key}") as deaths:
            return self.apply(works, batch, deaths)

    @contextmanager
    def noted(self, key: str) -> Iterator[int]:
        """Note that some work is under way, and give the number of processes that died of it before."""
        deaths = self.report.begin(key)
        try:
            yield deaths
        finally:
            self.report.end(key)

    def apply(self, works: list[Work], batch: Any, deaths: int) -> Any:
        """Do some works of which so many processes died before."""
        for work in works:
            if deaths:
                batch = in_sandbox(work, batch, self.deadline_s)
            else:
                work.prepare()
                with _ended_after(self.deadline_s):
                    batch = bisect(work, batch, self.report.run)
        return batch


@contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    """End this process where the work takes longer, and print where it hung.

    faulthandler's thread is the only one that can: it needs no lock of Python's, which a regular expression never lets go.
    """
    faulthandler.dump_traceback_later(seconds, exit=True, file=STDERR)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
