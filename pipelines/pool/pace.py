"""How much of the records is read."""

import time
from dataclasses import dataclass, field

from pipelines.counts import Counts
from pipelines.flow.board.pace import clock


@dataclass
class PoolPace:
    """Shows rows and how much of the input is read."""

    began: float = field(default_factory=time.monotonic)

    def line(self, counts: Counts) -> str:
        read, seconds = counts["read"], time.monotonic() - self.began
        share = read.get("bytes", 0) / max(read.get("of_bytes", 0), 1)
        rows = counts.get("settled", {}).get("kept", 0)
        left = clock(seconds / share - seconds) if share else "-"
        return f"{clock(seconds)}  {share:.0%} read | {rows:,} examples | ETA {left}"
