"""How fast documents are packed."""

from dataclasses import dataclass, field

from pipelines.counts import Counts
from pipelines.flow.board.pace import ReadShare, clock


@dataclass
class PackPace:
    """Shows tokens and their rate."""

    read: ReadShare = field(default_factory=ReadShare)

    def line(self, counts: Counts) -> str:
        tokens, rows = counts["read"].get("tokens", 0), counts.get("settled", {}).get("kept", 0)
        seconds, left = self.read.seconds, self.read.left(counts)
        return f"{clock(seconds)}  {tokens:,} tokens | {tokens / seconds:,.0f} tokens/s | {rows:,} rows written | ETA {left}"
