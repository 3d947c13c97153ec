"""How much of the records is read."""

from dataclasses import dataclass, field

from pipelines.counts import Counts
from pipelines.flow.board.pace import ReadShare, clock


@dataclass
class PoolPace:
    """Shows rows and how much of the input is read."""

    read: ReadShare = field(default_factory=ReadShare)

    def line(self, counts: Counts) -> str:
        rows, share = counts.get("settled", {}).get("kept", 0), self.read.of(counts)
        return f"{clock(self.read.seconds)}  {share:.0%} read | {rows:,} examples | ETA {self.read.left(counts)}"
