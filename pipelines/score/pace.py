"""How fast tokens are scored."""

import time
from dataclasses import dataclass, field

from pipelines.counts import Counts
from pipelines.flow.pace import clock


@dataclass
class ScorePace:
    """Shows tokens and their rate, from the first answer on: loading models is no scoring."""

    began: float = field(default_factory=time.monotonic)
    first: tuple[float, int] | None = None

    def line(self, counts: Counts) -> str:
        read, rows, now = counts["read"], counts.get("settled", {}).get("kept", 0), time.monotonic()
        if rows and not self.first:
            self.first = (now, rows)
        of, window = read.get("of_rows", 0), read.get("window", 0)
        begun, before = self.first if self.first and rows > self.first[1] else (self.began, 0)
        rate = (rows - before) / max(now - begun, 1e-9)
        left = clock((of - rows) / rate) if rate else "-"
        tokens = f"{rows * window:,} of {of * window:,} tokens"
        return f"{clock(now - self.began)}  {tokens} | {rate * window:,.0f} tokens/s | ETA {left}"
