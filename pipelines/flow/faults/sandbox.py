"""What kills its process or hangs over a row leaves alone: the batch is halved in processes that may die."""

from dataclasses import dataclass, field
from typing import Any

from pipelines.exits import StageFailure
from pipelines.flow.faults.bisect import MOST_DETAIL, Work, bisect

TRIES_ALONE = 3  # of a row that dies or hangs: its node may have gone under an innocent one
LEAST_SECONDS = 60.0  # that part of a batch may take, where the deadline is longer
STARTS = 3  # of a process apart, before something else must be wrong


def in_sandbox(work: Work, batch: Any, deadline_s: float) -> Any:
    """Do the work in another process, and reject the rows of which it dies, hangs or raises.

    Parts of the batch get a share of the deadline, so that a row that hangs is found in about twice the deadline; the last try
    of a row alone gets the whole of it.
    """
    sandbox = Sandbox(work)
    whole = max(len(batch), 1)

    def survivors(part: Any, tries: int = 1) -> Any:
        try:
            share = 1 if tries == TRIES_ALONE else len(part) / whole / 4
            return sandbox.do(part, max(min(deadline_s, LEAST_SECONDS), deadline_s * share))
        except Death as death:
            halves = work.halves(part)
            if len(halves) > 1:
                return work.joined([survivors(half) for half in halves])
            if tries < TRIES_ALONE:
                return survivors(part, tries + 1)
            return work.rejected(part, death.reason, f"{death} ({tries} times, alone)"[:MOST_DETAIL])

    try:
        return survivors(batch)
    finally:
        sandbox.stop()


class Death(Exception):
    """A process died, or was stopped because it took too long. `reason` is the word for the rejected row."""

    def __init__(self, reason: str, detail: str):
        super().__init__(detail)
        self.reason = reason


class SandboxActor:
    """The process apart: an actor of Ray's."""

    def __init__(self, work: Work):
        self.work = work

    def prepare(self) -> None:
        self.work.prepare()

    def do(self, batch: Any) -> Any:
        return bisect(self.work, batch)


@dataclass
class Sandbox:
    """Does work in a process apart; the next part gets a new one where that died."""

    work: Work
    worker: Any = field(default=None)

    def do(self, part: Any, seconds: float) -> Any:
        """Do the work. Raises Death, and what the work raises that is no row's fault."""
        import ray
        from ray.exceptions import GetTimeoutError, RayError, RayTaskError

        self.worker = self.worker or self._started()
        try:
            return ray.get(self.worker.do.remote(part), timeout=seconds)
        except RayTaskError as error:
            raise error.cause from error
        except GetTimeoutError as error:
            self.stop()
            raise Death("deadline", f"no result after {seconds:g} s") from error
        except RayError as error:
            self.stop()
            raise Death("crash", f"the process died: {_how(error)}") from error

    def stop(self) -> None:
        import ray

        if self.worker is not None:
            ray.kill(self.worker)
        self.worker = None

    def _started(self) -> Any:
        """Start the process and wait until it is ready, so that no deadline runs meanwhile."""
        import ray
        from ray.exceptions import RayActorError, RayTaskError

        for tries in range(1, STARTS + 1):
            worker = ray.remote(SandboxActor).options(num_cpus=0, max_restarts=0).remote(self.work)
            try:
                ray.get(worker.prepare.remote())
                return worker
            except RayTaskError as error:
                raise error.cause from error
            except RayActorError as error:
                if tries == STARTS:
                    raise StageFailure(
                        f"the stage {self.work.stage!r} cannot be loaded: its process died {STARTS} times at that "
                        f"({_how(error)}). If memory ran out, lower cluster.cpus or give the machine more."
                    ) from error


def _how(error: Exception) -> str:
    """Give the line in which Ray says how a process ended."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if "exit" in line.lower() or "memory" in line.lower()), type(error).__name__)
