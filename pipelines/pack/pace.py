"""How fast documents are packed."""

import time
from dataclasses import dataclass, field

from pipelines.counts import Counts
from pipelines.flow.board.pace import clock


@dataclass
class PackPace:
    """Shows tokens and their rate."""

    began: float = field(default_factory=time.monotonic)

    def line(self, counts: Counts) -> str:
        read, seconds = counts["read"], time.monotonic() - self.began
        share = read.get("bytes", 0) / max(read.get("of_bytes", 0), 1)
        tokens = read.get("tokens", 0)
        rows = counts.get("settled", {}).get("kept", 0)
        left = clock(seconds / share - seconds) if share else "-"
        return f"{clock(seconds)}  {tokens:,} tokens | {tokens / seconds:,.0f} tokens/s | {rows:,} rows written | ETA {left}"
