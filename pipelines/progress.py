"""What a run shows while it goes: one live panel on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from operators.engines.base import EngineFailure
from operators.errors import BadRequest, StorageFailure
from operators.storage.base import CorruptFile
from pipelines.counts import Counts, add_counts
from pipelines.notes import Cursor, Notes, StageFailure

LIVE_EVERY_S, LINE_EVERY_S = 0.5, 10.0
LEAST_SHARE = 0.02  # of the input that must be read before the rest is guessed from it


class Scoreboard(Notes):
    """Collects what all processes of a run report. Lives in a Ray actor; who reports counts does not wait for it."""

    def __init__(self):
        super().__init__()
        self.counts: Counts = {}
        self.engines: dict[str, dict] = {}
        self.failure: str | None = None
        self.asked_wrongly = False
        self.latest: dict = {}
        self.noticed: str | None = None

    def add(self, counts: Counts) -> None:
        """Add counts to those that are there."""
        self.counts = add_counts(self.counts, counts)

    def engine(self, name: str, state: dict) -> None:
        """Take the latest state of an engine: its requests and tokens so far, and when it began and last answered."""
        self.engines[name] = state

    def engine_starts(self, actor: str) -> tuple[int, int, bool]:
        for name, state in self.engines.items():
            if name.startswith(actor):
                state["in_flight"] = 0  # in an earlier life of the actor
        return super().engine_starts(actor)

    def fail(self, message: str, asked_wrongly: bool = False) -> None:
        """Take down why the run cannot go on, and whether that is a bad request; the first to say so is right."""
        if self.failure is None:
            self.failure, self.asked_wrongly = message, asked_wrongly

    def why(self) -> str | None:
        return self.failure

    def is_bad_request(self) -> bool:
        return self.asked_wrongly

    def notice(self, message: str) -> None:
        """Take down an error that the run may outlive."""
        self.noticed = message

    def last_notice(self) -> str | None:
        return self.noticed

    def tell(self, state: dict) -> None:
        """Take down how things stand, in the place of how they stood."""
        self.latest = state

    def read(self) -> Counts:
        """Give all counts; those of all engines together stand under `engine`."""
        states = list(self.engines.values())
        sums = add_counts(*({k: v for k, v in state.items() if k not in ("began", "last")} for state in states))
        began, last = (pick((s[key] for s in states), default=0.0) for pick, key in ((min, "began"), (max, "last")))
        return {"read": {}} | self.counts | {"latest": self.latest, "engine": sums | {"seconds": last - began}}


def start_board():
    """Start the scoreboard in an actor beside the driver, without which it is not needed. One that dies starts again, empty."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return (
        ray.remote(Scoreboard)
        .options(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)
        .remote()
    )


class Report:
    """What workers are handed to reach the scoreboard."""

    def __init__(self, board):
        self.board = board

    def begin(self, key: str) -> int:
        """Note that some work begins; wait for the number of processes that died of it before (about a millisecond)."""
        import ray

        return ray.get(self.board.begin.remote(key))

    def end(self, key: str, answered: bool = False) -> None:
        self.board.end.remote(key, answered)

    def settled(self, keys: list[str]) -> None:
        """Tell the engines which orders are committed, and wait until that is noted: they hold back others for it."""
        import ray

        ray.get(self.board.settle.remote(keys))

    async def begun(self, key: str) -> int:
        return await self.board.begin.remote(key)

    async def deaths_at(self, key: str) -> int:
        return await self.board.deaths_at.remote(key)

    async def settled_since(self, cursor: Cursor | None) -> tuple[Cursor, list[str] | None]:
        return await self.board.settled_since.remote(cursor)

    async def engine_starts(self, actor: str) -> tuple[int, int, bool]:
        return await self.board.engine_starts.remote(actor)

    def engine_started(self) -> None:
        self.board.engine_started.remote()

    def answered(self) -> None:
        self.board.answered.remote()

    def add(self, counts: Counts) -> None:
        self.board.add.remote(counts)

    def engine(self, name: str, state: dict) -> None:
        self.board.engine.remote(name, state)

    def latest(self, state: dict) -> None:
        self.board.tell.remote(state)

    def failed(self, message: str, asked_wrongly: bool = False) -> None:
        """Take down why the run cannot go on, and wait until that is noted."""
        import ray

        ray.get(self.board.fail.remote(message, asked_wrongly))

    def noticed(self, message: str) -> None:
        import ray

        ray.get(self.board.notice.remote(message))

    def last_notice(self) -> str | None:
        import ray

        return ray.get(self.board.last_notice.remote())

    def why(self) -> str | None:
        import ray

        return ray.get(self.board.why.remote())

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Take down the message of an error that is meant for the user: Ray passes on only the last of a chain's types."""
        try:
            yield
        except (EngineFailure, BadRequest, CorruptFile, StageFailure, StorageFailure) as error:
            self.failed(str(error), isinstance(error, BadRequest))
            raise


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


def clock(seconds: float) -> str:
    """Write a time as H:MM:SS."""
    minutes, seconds = divmod(int(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


class Watch:
    """Shows a scoreboard from a thread of its own while the run goes on. `read` gives its counts, `pace` makes a line of them."""

    def __init__(self, read, pace, stream=None):
        self.read, self.pace = read, pace
        self.stream = stream or sys.stderr
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._show, daemon=True)

    def __enter__(self) -> "Watch":
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stopped.set()
        self.thread.join(timeout=5)

    def _show(self) -> None:
        if self.stream.isatty():
            self._show_live()
        else:
            while not self.stopped.wait(LINE_EVERY_S):
                print(self.pace.line(self.read()), file=self.stream, flush=True)

    def _show_live(self) -> None:
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(file=self.stream), auto_refresh=False, transient=True) as live:
            while not self.stopped.wait(LIVE_EVERY_S):
                live.update(self.pace.line(self.read()), refresh=True)
