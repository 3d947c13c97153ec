"""Watch a process and all that it starts: CPU seconds and memory, by polling, until it ends."""

import subprocess
import threading
import time
from dataclasses import dataclass, field

import psutil

EVERY_S, MEMORY_EVERY_S = 0.1, 0.5  # reading the memory maps of many processes takes long


@dataclass
class Usage:
    """What a tree of processes used: CPU seconds by pid, and peaks of memory in bytes (not shared with others)."""

    cpu_s: dict[int, float] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    peak_by_process: dict[int, int] = field(default_factory=dict)
    peak_total: int = 0
    wall_s: float = 0.0
    timeline: list[tuple[float, float]] = field(
        default_factory=list
    )  # moments (monotonic clock) and CPU seconds by then

    def cpu_since(self, moment: float) -> float:
        """Give the CPU seconds used after a moment of the monotonic clock."""
        before = max((cpu for at, cpu in self.timeline if at <= moment), default=0.0)
        return self.cpu_total_s - before

    @property
    def cpu_total_s(self) -> float:
        return sum(self.cpu_s.values())


def watch(command: list[str], memory: bool = False, **options) -> Usage:
    """Run a command to its end and report what it and its descendants used. Raises if it fails."""
    usage, began = Usage(), time.monotonic()
    process = subprocess.Popen(command, **options)
    done = threading.Event()
    thread = threading.Thread(target=_poll, args=(psutil.Process(process.pid), usage, done, memory))
    thread.start()
    status = process.wait()
    usage.wall_s = time.monotonic() - began
    done.set()
    thread.join()
    if status:
        raise subprocess.CalledProcessError(status, command)
    return usage


def _poll(root: psutil.Process, usage: Usage, done: threading.Event, memory: bool) -> None:
    known: dict[int, psutil.Process] = {root.pid: root}
    while not done.wait(MEMORY_EVERY_S if memory else EVERY_S):
        # Ray's workers outlive their parent for a moment: once seen, a process is followed to its own end.
        for process in list(known.values()):
            try:
                known.update({child.pid: child for child in process.children(recursive=True)})
            except psutil.NoSuchProcess:
                del known[process.pid]
        total = 0
        for pid, process in known.items():
            try:
                times = process.cpu_times()
                usage.cpu_s[pid] = times.user + times.system
                usage.names[pid] = process.name()
                if memory:
                    own = process.memory_full_info().uss
                    usage.peak_by_process[pid] = max(own, usage.peak_by_process.get(pid, 0))
                    total += own
            except psutil.NoSuchProcess:
                continue
        usage.peak_total = max(usage.peak_total, total)
        usage.timeline.append((time.monotonic(), usage.cpu_total_s))
