"""The contract of a pace: it turns the counts that a run reports into a line of progress. And paces that only count."""

import time
from dataclasses import dataclass, field
from typing import Protocol

from pipelines.counts import Counts


class Pace(Protocol):
    def line(self, counts: Counts) -> str: ...


@dataclass
class CountPace:
    """Shows how many of all are done: `of` names the count of all among `read`, `words` say of what."""

    of: str
    words: str
    began: float = field(default_factory=time.monotonic)

    def line(self, counts: Counts) -> str:
        done, of = counts.get("settled", {}).get("kept", 0), counts["read"].get(self.of, 0)
        return f"{clock(time.monotonic() - self.began)}  {done:,} of {of:,} {self.words}"


@dataclass
class StillPace:
    """Shows that something is at work that alone knows how far it is."""

    words: str
    began: float = field(default_factory=time.monotonic)

    def line(self, counts: Counts) -> str:
        return f"{clock(time.monotonic() - self.began)}  {self.words}"


@dataclass
class Rate:
    """Rows per second, from the first rows on: what a model takes to load is no work on rows."""

    began: float = field(default_factory=time.monotonic)
    first: tuple[float, int] | None = None

    def now(self, rows: int) -> float:
        """Give the rate, now that so many rows are done."""
        now = time.monotonic()
        if rows and not self.first:
            self.first = (now, rows)
        begun, before = self.first if self.first and rows > self.first[1] else (self.began, 0)
        return (rows - before) / max(now - begun, 1e-9)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


@dataclass
class ReadShare:
    """How much of the input is read, and how long the rest takes at the same pace."""

    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def of(self, counts: Counts) -> float:
        """Give the share of the input's bytes that is read."""
        read = counts["read"]
        return read.get("bytes", 0) / max(read.get("of_bytes", 0), 1)

    def left(self, counts: Counts) -> str:
        """Write how long the rest takes."""
        share = self.of(counts)
        return clock(self.seconds / share - self.seconds) if share else "-"


def remaining(left: float, rate: float) -> str:
    """Write how long what is left takes."""
    return clock(left / rate) if rate else "-"


def clock(seconds: float) -> str:
    """Write a time as H:MM:SS."""
    minutes, seconds = divmod(int(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
