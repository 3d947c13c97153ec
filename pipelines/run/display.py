"""What a run shows while it goes: one live panel on a terminal, plain lines elsewhere."""

import sys
import threading

LIVE_EVERY_S, LINE_EVERY_S = 0.5, 10.0


class Display:
    """Shows a scoreboard from a thread of its own while the run goes on. `read` gives its counts, `pace` makes a line of them."""

    def __init__(self, read, pace, stream=None):
        self.read, self.pace = read, pace
        self.stream = stream or sys.stderr
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._show, daemon=True)

    def __enter__(self) -> "Display":
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
