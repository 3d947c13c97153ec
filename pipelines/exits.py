"""How a command ends: what can stop a run, and the exit code of each."""

import signal
import sys
from collections.abc import Callable

from cluster import log
from cluster.errors import NoCluster, in_a_line
from operators.errors import BadRequest, StorageFailure
from operators.models.engines.base import EngineFailure
from pipelines.reasons import Blame

FAILED, BAD_REQUEST, INTERRUPTED = 1, 2, 130


class RunFailed(RuntimeError):
    """The run could not go on; what is committed stays, and the same command goes on from there.

    `blamed` is what the run charged to its rows and they had no part in.
    """

    def __init__(self, message: str = "", blamed: tuple[Blame, ...] = ()):
        super().__init__(message)
        self.blamed = blamed


class Blamed(EngineFailure):
    """The engine or the settings are to blame for what became of rows: `blamed` says of which, and the message of what."""

    def __init__(self, message: str, blamed: tuple[Blame, ...]):
        super().__init__(message)
        self.args, self.blamed = (message, blamed), blamed


class Interrupted(RuntimeError):
    """The run was stopped by a signal and can be resumed."""


CODES = {
    RunFailed: FAILED,
    NoCluster: FAILED,
    StorageFailure: FAILED,
    BadRequest: BAD_REQUEST,
    Interrupted: INTERRUPTED,
}


def guarded(command: Callable[[], None]) -> None:
    """Run a command; what the user should know of is told in plain words, without a traceback, and sets the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        command()
    except tuple(CODES) as error:
        print(f"gristmill: {error}", file=log.screen())
        if isinstance(error, RunFailed) and error.__cause__:
            _point_to_log(error)
        sys.exit(next(code for kind, code in CODES.items() if isinstance(error, kind)))
    except Exception as error:
        print(f"gristmill: that was not foreseen: {in_a_line(error)}", file=log.screen())
        _point_to_log(error)
        sys.exit(FAILED)
    except (KeyboardInterrupt, SystemExit) as ended:
        if isinstance(ended, SystemExit) and ended.code != INTERRUPTED:  # as which typer hands on Ctrl-C
            raise
        print("gristmill: stopped. If a run was under way, the same command resumes it.", file=log.screen())
        sys.exit(INTERRUPTED)


def _point_to_log(error: Exception) -> None:
    """Say where the traceback is, and all that was printed; of that the last error, which may be what led to this one."""
    last = log.last_error()
    log.note_error(error)
    before = f" Before it something said: {last}" if last else ""
    print(f"The traceback is in {log.path()}, with all else that was printed.{before}", file=log.screen())


class StageFailure(RuntimeError):
    """A stage cannot work, whatever its rows are."""
