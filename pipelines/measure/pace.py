"""How fast rows are measured."""

import time
from dataclasses import dataclass, field

from pipelines.counts import Counts
from pipelines.flow.pace import clock


@dataclass
class MeasurePace:
    """Shows rows and their rate, from the first part on: loading models is no measuring."""

    feature: str
    began: float = field(default_factory=time.monotonic)
    first: tuple[float, int] | None = None

    def line(self, counts: Counts) -> str:
        rows, of, now = counts.get("settled", {}).get("kept", 0), counts["read"].get("of_rows", 0), time.monotonic()
        if rows and not self.first:
            self.first = (now, rows)
        begun, before = self.first if self.first and rows > self.first[1] else (self.began, 0)
        rate = (rows - before) / max(now - begun, 1e-9)
        left = clock((of - rows) / rate) if rate else "-"
        return f"{clock(now - self.began)}  {self.feature}: {rows:,} of {of:,} rows | {rate:,.0f} rows/s | ETA {left}"
