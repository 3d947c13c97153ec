"""What a run shows while it goes: one live panel on a terminal, plain lines elsewhere."""

import threading
from collections.abc import Callable
from functools import partial

from cluster import log

LIVE_EVERY_S, LINE_EVERY_S = 0.5, 10.0
MOST_NOTES = 20  # where a store fails, every file has one


class Display:
    """Shows how a run stands from a thread of its own. `lines` tells it: all there is to say on a terminal (true), else less.

    `notes` gives what the user should be told, all of it so far; each is told once, above the lines.
    """

    def __init__(self, lines: Callable[[bool], list[str]], notes: Callable[[], list[str]] = list, stream=None):
        self.lines, self.notes = lines, notes
        self.told: set[str] = set()
        self.stream = stream or log.screen()
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._show, daemon=True)

    def __enter__(self) -> "Display":
        self.thread.start()
        return self

    def __exit__(self, error, *_) -> None:
        self.stopped.set()
        self.thread.join(timeout=5)
        if error is None:
            self._tell(self._print)

    def _show(self) -> None:
        if self.stream.isatty():
            self._show_live()
        else:
            while not self.stopped.wait(LINE_EVERY_S):
                self._tell(self._print)
                for line in self.lines(False):
                    self._print(line)

    def _show_live(self) -> None:
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(file=self.stream), auto_refresh=False, transient=True) as live:
            above = partial(live.console.print, highlight=False, markup=False, soft_wrap=True)
            while not self.stopped.wait(LIVE_EVERY_S):
                self._tell(above)
                live.update("\n".join(self.lines(True)), refresh=True)

    def _tell(self, tell: Callable[[str], None]) -> None:
        """Tell the notes that are new."""
        for note in self.notes():
            if note not in self.told and len(self.told) <= MOST_NOTES:
                self.told.add(note)
                tell(f"note: {note}" if len(self.told) <= MOST_NOTES else "note: and more of the kind")

    def _print(self, line: str) -> None:
        print(line, file=self.stream, flush=True)
