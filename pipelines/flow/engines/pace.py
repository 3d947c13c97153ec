"""How fast requests are answered."""

import time
from dataclasses import dataclass, field

from pipelines.counts import Counts
from pipelines.flow.board.pace import clock

LEAST_SHARE = 0.02  # of the input that must be read before the rest is guessed from it


@dataclass
class RequestPace:
    """Turns counts read at intervals into rates and an estimate of the time left."""

    began: float = field(default_factory=time.monotonic)
    marks: list[tuple[float, int, int, int]] = field(default_factory=list)

    def line(self, counts: Counts) -> str:
        read, engine, done = (counts.get(key, {}) for key in ("read", "engine", "settled"))
        requests, tokens_in, tokens_out = (engine.get(key, 0) for key in ("done", "prompt_tokens", "completion_tokens"))
        now = time.monotonic()
        self.marks = [mark for mark in self.marks if now - mark[0] < 15] + [(now, requests, tokens_in, tokens_out)]
        seconds = max(now - self.marks[0][0], 1e-9) if len(self.marks) > 1 else max(now - self.began, 1e-9)
        first = self.marks[0] if len(self.marks) > 1 else (0, 0, 0, 0)
        rate = (requests - first[1]) / seconds
        total = _expected(read)
        fields = [
            f"{requests:,}" + (f" of ~{total:,.0f}" if total else "") + " requests",
            f"{engine['in_flight']:,} in flight" if "in_flight" in engine else "engines are starting",
            f"tokens/s {(tokens_in - first[2]) / seconds:,.0f} in {(tokens_out - first[3]) / seconds:,.0f} out",
            f"rows {done.get('kept', 0):,} kept {done.get('rejected', 0):,} rejected",
            f"ETA {clock((total - requests) / rate) if total and rate > 0 else '-'}",
        ]
        return f"{clock(now - self.began)}  " + " | ".join(fields)


def _expected(read: Counts) -> float | None:
    """Estimate all requests of the run from the part of the input that has been read."""
    share = read.get("bytes", 0) / read["of_bytes"] if read.get("of_bytes") else 0
    return read.get("requests", 0) / min(share, 1.0) if share > LEAST_SHARE else None


def speed(engine: Counts) -> str:
    """Say how fast the engines went, from their start to their last answer."""
    seconds = engine.get("seconds") or float("nan")
    rates = {name: engine.get(f"{name}_tokens", 0) / seconds for name in ("prompt", "completion")}
    words = f"{rates['prompt']:,.0f} tokens/s in, {rates['completion']:,.0f} tokens/s out"
    return f"engines: {engine.get('done', 0):,} requests in {seconds:,.1f} s, {words}"
