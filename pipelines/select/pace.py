"""That choices are compared."""

import time
from dataclasses import dataclass, field

from pipelines.counts import Counts
from pipelines.flow.pace import clock


@dataclass
class ReportPace:
    """Shows that the choices are compared."""

    began: float = field(default_factory=time.monotonic)

    def line(self, counts: Counts) -> str:
        return f"{clock(time.monotonic() - self.began)}  comparing the choices"
