"""How each target of a strike is found and hit. Every function returns what it hit, in words, or nothing if it found none."""

import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import psutil

from tests.chaos.processes import ENGINE, POLL_S, is_alive, wait_for
from tests.chaos.strikes import Strike

if TYPE_CHECKING:
    from tests.chaos.trial import Trial

FOUND_WITHIN_S, AT_WORK_WITHIN_S, DEAD_WITHIN_S = 30.0, 2.0, 90.0
REFUSED = 2  # the exit code of a run that finds another at work
AFTER_SIGTERM = (130, 0, -signal.SIGTERM)  # interrupted; done at that moment; killed while it still imported
RETRY_S = 2.0
TAKEN_OVER_WITHIN_S = 200.0  # above the time without a beat after which a run counts as dead
IDLE = "ray::IDLE"  # the title of a worker between two tasks
RAY_DATA = ("Actor", "Tracker")  # how Ray Data's own actors end their names


def hit_driver(trial: "Trial", strike: Strike) -> str:
    run = trial.run
    if strike.signal == "SIGSTOP":
        _stop_for(psutil.Process(run.process.pid), strike.pause_s)
        return "driver SIGSTOP"
    trial.expected_to_die = True
    run.process.send_signal(getattr(signal, strike.signal))
    if not wait_for(trial.ended, DEAD_WITHIN_S):
        trial.outcome.failures.append(f"{strike.signal} did not end the driver within {DEAD_WITHIN_S:.0f} s")
        run.process.kill()
        run.process.wait()
    elif strike.signal == "SIGTERM" and run.code not in AFTER_SIGTERM:
        trial.outcome.failures.append(f"SIGTERM ended the run with exit code {run.code}:\n{run.last_words(30)}")
    return f"driver {strike.signal}"


def hit_rival(trial: "Trial", strike: Strike) -> str:
    """Stop the driver, start the same command beside it, and let the driver go on after a while."""
    wakes_at = time.monotonic() + strike.pause_s
    _beside(trial, lambda: time.monotonic() >= wakes_at)
    return "driver SIGSTOP beside a rival"


def hit_successor(trial: "Trial", strike: Strike) -> str:
    """The same, but the driver goes on only once the other run has taken it for dead and sends requests of its own."""
    gives_up_at = time.monotonic() + TAKEN_OVER_WITHIN_S
    wakes_at = None

    def taken_over() -> bool:
        nonlocal wakes_at
        now = time.monotonic()
        if wakes_at is None and trial.has_engine():
            wakes_at = now + strike.pause_s
        if wakes_at is None and now > gives_up_at:
            trial.outcome.failures.append(f"no run took over from a stopped one within {TAKEN_OVER_WITHIN_S:.0f} s")
            wakes_at = now
        return wakes_at is not None and now >= wakes_at

    _beside(trial, taken_over)
    return "driver SIGSTOP until taken over"


def _beside(trial: "Trial", wakes: Callable[[], bool]) -> None:
    """Stop the driver until `wakes`, and start the command meanwhile until it is let in; wait for both to end."""
    first, awake = trial.run, False
    first.process.send_signal(signal.SIGSTOP)
    trial.start(timed=False)

    def both_ended() -> bool:
        nonlocal awake
        trial.requests()
        if not awake and wakes():
            awake = True
            first.process.send_signal(signal.SIGCONT)
        if trial.run.code == REFUSED and first.code is None:
            trial.outcome.codes.append(REFUSED)
            time.sleep(RETRY_S)
            trial.start(timed=False)
        trial.expected_to_die = True  # either may be sent away, once or for good
        return first.code is not None and trial.run.code is not None

    try:
        if not wait_for(both_ended, TAKEN_OVER_WITHIN_S + 2 * DEAD_WITHIN_S):
            trial.outcome.failures.append("two runs at the same time did not both end")
    finally:
        first.process.send_signal(signal.SIGCONT)
    if first.code is not None:
        trial.outcome.codes.append(first.code)
    if first.code == 0 and trial.run.code == REFUSED:  # it was done while the other was still knocking
        trial.settle()
        trial.start(timed=False)


def hit_engine(trial: "Trial", strike: Strike) -> str:
    return _hit_worker(trial, strike, lambda title: ENGINE in title)


def hit_scoreboard(trial: "Trial", strike: Strike) -> str:
    return _hit_worker(trial, strike, lambda title: "Scoreboard" in title)


def hit_ray_data(trial: "Trial", strike: Strike) -> str:
    return _hit_worker(trial, strike, lambda title: title.endswith(RAY_DATA))


def hit_task(trial: "Trial", strike: Strike) -> str:
    """Hit a worker that runs tasks (reading, refining, writing): one at work if there is one soon, else one between two."""

    def runs_tasks(title: str) -> bool:
        return not title.endswith(RAY_DATA) and ENGINE not in title and "Scoreboard" not in title

    at_work = _hit_worker(trial, strike, lambda title: runs_tasks(title) and title != IDLE, AT_WORK_WITHIN_S)
    return at_work or _hit_worker(trial, strike, runs_tasks)


def _hit_worker(trial: "Trial", strike: Strike, wanted: Callable[[str], bool], within_s: float = FOUND_WITHIN_S) -> str:
    found: list[tuple[str, psutil.Process]] = []

    def there() -> bool:
        found[:] = [(title, process) for process, title in trial.workers().items() if wanted(title)]
        return bool(found) or trial.run.code is not None

    wait_for(there, within_s, every_s=0.02)
    if not found:
        return ""
    title, process = found[int(strike.which * len(found))]
    _signal(process, strike)
    return f"{title.removeprefix('ray::')} {strike.signal}"


def hit_node(trial: "Trial", strike: Strike) -> str:
    """Hit the raylet of a node that is not the head; a node that is gone is replaced."""
    raylets = trial.nodes.raylets
    raylet = trial.families[0].known[raylets[int(strike.which * len(raylets))]]
    _signal(raylet, strike)
    wait_for(lambda: not is_alive(raylet), FOUND_WITHIN_S if strike.signal == "SIGKILL" else 3.0)
    trial.nodes.mend()
    return f"node {strike.signal}"


def hit_head(trial: "Trial", strike: Strike) -> str:
    """Kill the head, which ends the cluster and with it the run; the next run gets a new cluster."""
    trial.expected_to_die = True
    for pid in trial.nodes.head:
        os.kill(pid, getattr(signal, strike.signal))
    if not wait_for(trial.ended, DEAD_WITHIN_S):
        trial.outcome.failures.append(f"the run did not end within {DEAD_WITHIN_S:.0f} s of the head's death")
        trial.run.process.kill()
        trial.run.process.wait()
    trial.replace_nodes()
    return f"head {strike.signal}"


def hit_proxy(trial: "Trial", strike: Strike) -> str:
    """Cut every connection to the S3 service and take none for a while.

    Not the service itself: it keeps its objects in memory, and to kill it would be to lose the bucket.
    """
    trial.scene.proxy.kill()
    time.sleep(strike.pause_s)
    trial.scene.proxy.start()
    return "S3 cut off"


def hit_s3(trial: "Trial", strike: Strike) -> str:
    """Let the S3 service take requests and not answer them for a while."""
    _stop_for(trial.scene.s3_process, strike.pause_s)
    return "S3 SIGSTOP"


def _signal(process: psutil.Process, strike: Strike) -> None:
    try:
        if strike.signal == "SIGSTOP":
            _stop_for(process, strike.pause_s)
        else:
            process.send_signal(getattr(signal, strike.signal))
    except psutil.NoSuchProcess:
        return


def _stop_for(process: psutil.Process, seconds: float) -> None:
    process.suspend()
    try:
        time.sleep(max(seconds, POLL_S))
    finally:
        process.resume()


HITS = {
    "driver": hit_driver,
    "rival": hit_rival,
    "successor": hit_successor,
    "engine": hit_engine,
    "task": hit_task,
    "Scoreboard": hit_scoreboard,
    "ray_data": hit_ray_data,
    "node": hit_node,
    "head": hit_head,
    "proxy": hit_proxy,
    "s3": hit_s3,
}
