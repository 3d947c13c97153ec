"""What a run shows while it goes: one live panel on a terminal, plain lines elsewhere."""

import sys
import threading
from collections.abc import Callable

LIVE_EVERY_S, LINE_EVERY_S = 0.5, 10.0


class Display:
    """Shows how a run stands from a thread of its own. `lines` tells it: all there is to say on a terminal (true), else less."""

    def __init__(self, lines: Callable[[bool], list[str]], stream=None):
        self.lines = lines
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
                for line in self.lines(False):
                    print(line, file=self.stream, flush=True)

    def _show_live(self) -> None:
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(file=self.stream), auto_refresh=False, transient=True) as live:
            while not self.stopped.wait(LIVE_EVERY_S):
                live.update("\n".join(self.lines(True)), refresh=True)
