"""How many students are evaluated."""

import time
from dataclasses import dataclass, field

from pipelines.counts import Counts
from pipelines.flow.pace import clock


@dataclass
class ComparePace:
    """Shows how many students were evaluated."""

    began: float = field(default_factory=time.monotonic)

    def line(self, counts: Counts) -> str:
        done, of = counts.get("settled", {}).get("kept", 0), counts["read"].get("of_students", 0)
        return f"{clock(time.monotonic() - self.began)}  {done:,} of {of:,} students evaluated"
