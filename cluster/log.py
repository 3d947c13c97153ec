"""A file for what Ray, its processes and libraries print, so that the screen has only what is for the user."""

import atexit
import logging
import os
import re
import sys
import tempfile
import time
import traceback
from functools import cache
from pathlib import Path
from typing import Any, TextIO

OURS = ("operators", "pipelines", "cluster")  # whose warnings are for the user
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
ERROR = re.compile(r"^(?:.*?\W)?((?:\w+\.)*\w*(?:Error|Exception|Interrupt)): .+$")
LACKING = (
    "cannot be scheduled",
    "No available node types",
)  # what Ray says while work waits for what the cluster has not

_screen: TextIO | None = None
_told: set[str] = set()


def begin() -> None:
    """From now on have the log get what this process prints on stderr, native code too. `screen` leads to the user.

    Ray's lines come into it where `session` connects to Ray. It stays so to the end of the process.
    """
    global _screen
    if _screen is None:
        sys.stderr.flush()
        _screen = os.fdopen(os.dup(2), "w", buffering=1)
        with path().open("ab") as file:
            os.dup2(file.fileno(), 2)
        for name in OURS:
            logging.getLogger(name).addHandler(_OnScreen(logging.WARNING))
        atexit.register(_drop_empty)


def begun() -> bool:
    return _screen is not None


def screen() -> TextIO:
    """Give the stream of all that is for the user and no result."""
    return _screen or sys.stderr


@cache
def path() -> Path:
    """Give the file of this process, where only its user may read."""
    folder = Path(tempfile.gettempdir(), f"gristmill-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    file.touch(mode=0o600)
    return file


def note_error(error: BaseException) -> None:
    """Write down an error with its traceback, and those that led to it."""
    with path().open("a", encoding="utf-8", errors="replace") as file:
        traceback.print_exception(error, file=file)


def last_error() -> str | None:
    """Give the last line in which anything told of an error; None where nothing did."""
    found = None
    with path().open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if ERROR.match(line):
                found = line.strip()
    return found


def take_lines_of_workers() -> None:
    """Have the log get what Ray's other processes print; the user hears of it only that work waits for what is not there."""
    from ray._private import worker
    from ray._private.ray_logging import global_worker_stdstream_dispatcher as lines

    lines.remove_handler("ray_print_logs")
    lines.remove_handler("gristmill")  # of an earlier connection
    lines.add_handler("gristmill", _take)
    # What Ray's nodes say to all drivers goes past the dispatcher.
    worker.print_to_stdstream = lambda batch, *_, **__: _take(batch)


def _take(batch: dict[str, Any]) -> None:
    from ray._private.worker import filter_autoscaler_events

    who, lines = batch.get("actor_name") or batch.get("task_name") or "ray", batch["lines"]
    if batch["pid"] == "autoscaler":  # it tells of its whole state every five seconds
        lines = list(filter_autoscaler_events(lines))
        _tell_what_lacks(lines)
    with path().open("a", encoding="utf-8", errors="replace") as file:
        for line in lines:
            print(f"({who} pid={batch['pid']}, ip={batch.get('ip')}) {COLOUR.sub('', line)}", file=file)


def _tell_what_lacks(events: list[str]) -> None:
    for event in events:
        if any(sign in event for sign in LACKING) and event not in _told:
            _told.add(event)
            print(f"note: Ray says: {event}", file=screen(), flush=True)


def _drop_empty() -> None:
    if not path().stat().st_size:
        path().unlink()


class _OnScreen(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        print(f"note: {record.getMessage()}", file=screen(), flush=True)
