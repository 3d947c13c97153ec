"""That a selector is at work."""

import time
from dataclasses import dataclass, field

from pipelines.counts import Counts
from pipelines.flow.pace import clock


@dataclass
class ChoosePace:
    """Shows that a selector is at work; only it knows how far it is."""

    selector: str
    rows: int
    began: float = field(default_factory=time.monotonic)

    def line(self, counts: Counts) -> str:
        return f"{clock(time.monotonic() - self.began)}  {self.selector} chooses from {self.rows:,} rows"
