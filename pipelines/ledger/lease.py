"""Who is at work on an artifact, and whether that run is still alive.

    OUTPUT/_gristmill/beats/00000007.json   when the owner of an epoch was last alive

A lease keeps honest runs from each other's way. That two runs cannot both count is not its affair but that of the epochs (see
pipelines.ledger.records): a run that is wrongly taken for dead is shut out, not harmful.
"""

import json
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from operators.errors import BadRequest, StorageFailure
from operators.storage.filesystem import storage_errors
from operators.storage.place import Place
from pipelines.ledger.layout import beats_file
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.reading import Records
from pipelines.ledger.records import Owner, dumps
from pipelines.ledger.tenure import Tenure, sweep

BEAT_S = 5.0
DEAD_AFTER_S = 60.0  # without a beat
LOOK_S = 0.5
PATIENCE_S = 15.0  # at the end of a run, for the last beat to come through


class Busy(BadRequest):
    """Another run is at work on the artifact."""


def myself() -> Owner:
    """Describe this process as the owner of an epoch to be."""
    process = psutil.Process()
    return Owner(
        uuid.uuid4().hex, socket.gethostname(), _boot(), _namespace(), process.pid, round(process.create_time(), 2)
    )


def require_free(place: Place, records: Records, say: Callable[[str], None]) -> None:
    """Raise BadRequest if the last run is still at work. Waits up to DEAD_AFTER_S where that can only be seen by its beats."""
    owner, beat = records.owner, _beat(place, records.number)
    if beat.get("released"):
        return
    if (owner.boot, owner.namespace) == (_boot(), _namespace()):
        if not _lives(owner):
            return
        if time.time() - beat.get("time", 0) < DEAD_AFTER_S:
            raise _busy(place, owner)
    say(f"note: waiting up to {DEAD_AFTER_S:.0f} s for a sign of life of the run that {owner.host} began here")
    deadline = time.monotonic() + DEAD_AFTER_S
    while time.monotonic() < deadline:
        now = _beat(place, records.number)
        if now.get("released"):
            return
        if now != beat:
            raise _busy(place, owner)
        time.sleep(LOOK_S)


def at_work(place: Place, records: Records) -> bool | None:
    """Tell whether a run is at work, as far as one look shows: None where the owner is elsewhere and has beaten lately."""
    beat = _beat(place, records.number)
    if beat.get("released") or time.time() - beat.get("time", 0) > DEAD_AFTER_S:
        return False
    return _lives(records.owner) if (records.owner.boot, records.owner.namespace) == (_boot(), _namespace()) else None


class Keeper:
    """Keeps an artifact ours while a run goes on: beats, folds commits, and stops the run when it has a successor.

    A beat that fails is only late: the storage may come back, and what is committed meanwhile is safe either way. Raises Lost
    at the end where the run was stopped for a successor.
    """

    def __init__(self, tenure: Tenure):
        self.tenure, self.trouble, self.swept = tenure, None, False
        self._beats, self._stopped = 0, threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> "Keeper":
        self._beat()
        self._thread.start()
        return self

    def sweep(self) -> list[str]:
        """Remove what belongs to no commit, and have it known that this is done."""
        removed = sweep(self.tenure)
        self.swept = True
        return removed

    def __exit__(self, kind, error, traceback) -> None:
        self._stopped.set()
        self._thread.join(PATIENCE_S)
        if self.trouble is not None:
            raise self.trouble from error
        if not self._thread.is_alive():  # else it waits for a storage that does not answer
            with suppress(StorageFailure, *storage_errors()):
                release(self.tenure.ledger, self.swept)

    def _keep(self) -> None:
        while not self._stopped.wait(BEAT_S):
            try:
                if not self.tenure.ledger.current():
                    raise self.tenure.ledger.lost()
                self._beat()
                self.tenure.fold()
            except (StorageFailure, *storage_errors()):
                continue
            except Exception as error:  # without beats another run would take this one for dead
                self.trouble = error
                os.kill(os.getpid(), signal.SIGINT)  # the main thread is deep in Ray; nothing else reaches it there
                return

    def _beat(self) -> None:
        self._beats += 1
        beat = {"beat": self._beats, "time": time.time()}
        self.tenure.ledger.place.publish(beats_file(self.tenure.ledger.number), dumps(beat))


def release(ledger: Ledger, swept: bool) -> None:
    """Say that nobody is at work any more, and whether what belongs to no commit is removed."""
    ledger.place.publish(beats_file(ledger.number), dumps({"released": True, "swept": swept}))


def swept(place: Place, records: Records) -> bool:
    """Tell whether the last run has removed what belongs to no commit."""
    return _beat(place, records.number).get("swept", False)


def _beat(place: Place, number: int) -> dict:
    try:
        return json.loads(place.read(beats_file(number)))
    except FileNotFoundError:  # it has just begun, or died before its first
        return {}


def _busy(place: Place, owner: Owner) -> Busy:
    return Busy(
        f"another run is at work on {place.url}: process {owner.pid} on {owner.host}. Wait for its end, stop it, or give "
        "another output.path."
    )


def _lives(owner: Owner) -> bool:
    """Tell whether a process of this very system is still the one that it was."""
    try:
        process = psutil.Process(owner.pid)
        return abs(process.create_time() - owner.started) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _boot() -> str:
    """Name the time since this machine was started."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else f"{socket.gethostname()}-{psutil.boot_time():.0f}"


def _namespace() -> str:
    """Name the set of processes that are seen from here: containers have sets of their own."""
    return os.readlink("/proc/self/ns/pid") if os.path.exists("/proc/self/ns/pid") else ""
