"""How many rows are classified."""

import time
from dataclasses import dataclass, field

from pipelines.counts import Counts
from pipelines.flow.pace import clock


@dataclass
class ClassifyPace:
    """Shows rows."""

    began: float = field(default_factory=time.monotonic)

    def line(self, counts: Counts) -> str:
        done, of = counts.get("settled", {}).get("kept", 0), counts["read"].get("of_rows", 0)
        return f"{clock(time.monotonic() - self.began)}  {done:,} of {of:,} rows classified"
