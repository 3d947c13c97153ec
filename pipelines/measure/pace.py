"""How fast rows are measured."""

from dataclasses import dataclass, field

from pipelines.counts import Counts
from pipelines.flow.board.pace import Rate, clock, remaining


@dataclass
class MeasurePace:
    """Shows rows and their rate."""

    feature: str
    rate: Rate = field(default_factory=Rate)

    def line(self, counts: Counts) -> str:
        rows, of = counts.get("settled", {}).get("kept", 0), counts["read"].get("of_rows", 0)
        rate = self.rate.now(rows)
        left = remaining(of - rows, rate)
        return f"{clock(self.rate.seconds)}  {self.feature}: {rows:,} of {of:,} rows | {rate:,.0f} rows/s | ETA {left}"
