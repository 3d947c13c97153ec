"""The processes of a run: only what the harness itself has started is ever found here, and so ever signalled."""

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

POLL_S = 0.15
GONE = (psutil.NoSuchProcess, psutil.ZombieProcess)
ENGINE = "BesideEngine"  # in the title of an engine's actor
AGENTS = (
    "ray::DashboardAgent",
    "ray::RuntimeEnvAgent",
)  # of a raylet: it ends with them, and they half a minute after it


class Family:
    """A process and all that it has started, also those that outlive it."""

    def __init__(self, root: int):
        self.known: dict[int, psutil.Process] = {root: psutil.Process(root)}
        self.look()

    def look(self) -> None:
        """Take down who is there. To be called often: the children of a dead process are found no more."""
        for process in list(self.known.values()):
            with suppress(*GONE):
                self.known.update({child.pid: child for child in process.children()})

    def alive(self) -> list[psutil.Process]:
        return [process for process in self.known.values() if is_alive(process)]

    def workers(self) -> dict[psutil.Process, str]:
        """Give Ray's workers, which run our code and Ray Data's, with their titles."""
        self.look()
        titles = {process: title(process) for process in self.alive()}
        return {p: told for p, told in titles.items() if told.startswith("ray::") and not told.startswith(AGENTS)}

    def end(self, patience_s: float) -> list[str]:
        """Wait for all to be gone, kill those that are not, and give their titles, but for those that Ray leaves to itself."""
        self.look()
        wait_for(lambda: all(title(process).startswith(AGENTS) for process in self.alive()), patience_s)
        left = self.alive()
        titles = [title(process) for process in left]
        for process in left:
            with suppress(*GONE):
                process.kill()
        return [told for told in titles if told and not told.startswith(AGENTS)]


class Run:
    """One process of the command, from its start; what it says goes to a file."""

    def __init__(self, command: list[str], log: Path, folder: Path, environment: dict[str, str]):
        self.log, self.began = log, time.monotonic()
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )
        self.family = Family(self.process.pid)

    @property
    def code(self) -> int | None:
        """Give the exit code, minus the signal if one ended it; None while it runs."""
        return self.process.poll()

    def last_words(self, lines: int = 6) -> str:
        return "\n".join(self.log.read_text(errors="replace").strip().splitlines()[-lines:])


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except GONE:
        return False


def title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()
    except (*GONE, psutil.AccessDenied):
        return ""


def wait_for(condition: Callable[[], bool], limit_s: float, every_s: float = POLL_S) -> bool:
    """Wait until a condition holds. Returns whether it does, false when the time is over."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True
