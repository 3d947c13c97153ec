"""How fast tokens are scored."""

from dataclasses import dataclass, field

from pipelines.counts import Counts
from pipelines.flow.board.pace import Rate, clock, remaining


@dataclass
class ScorePace:
    """Shows tokens and their rate."""

    rate: Rate = field(default_factory=Rate)

    def line(self, counts: Counts) -> str:
        read, rows = counts["read"], counts.get("settled", {}).get("kept", 0)
        of, window, rate = read.get("of_rows", 0), read.get("window", 0), self.rate.now(rows)
        tokens = f"{rows * window:,} of {of * window:,} tokens"
        return (
            f"{clock(self.rate.seconds)}  {tokens} | {rate * window:,.0f} tokens/s | ETA {remaining(of - rows, rate)}"
        )
