"""The states that a training run goes on from: weights, moments and position, the last two of them.

    OUTPUT/_gristmill/states/run-00000001-step-00000100/    run: the epoch in which it was written

They are no part of the artifact: a commit makes the metrics of steps count, and the state after them lies here. The same run has
the same state after a step, whichever epoch wrote it, so any whole state will do.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from operators.storage.place import Place
from pipelines.ledger.layout import RECORDS, epoch_of
from pipelines.ledger.ledger import Ledger
from pipelines.stock.checkpoints import step_of

STATES = f"{RECORDS}/states"
LIST = "state.json"  # names the other files with their checksums, and is written last


def publish_state(ledger: Ledger, step: int, files: Path) -> None:
    """Write the state after a step."""
    for file in sorted(files.iterdir(), key=lambda file: file.name == LIST):
        ledger.place.publish(f"{STATES}/run-{ledger.number:08}-step-{step:08}/{file.name}", file.read_bytes())


def newest_state(place: Place, most: int) -> str | None:
    """Give the folder of the whole state with the most steps, up to `most`; None where there is none."""
    steps = {folder: step_of(folder) for folder in place.folders(STATES)}
    for folder in sorted(steps, key=lambda folder: (steps[folder], folder), reverse=True):
        if steps[folder] <= most and f"{folder}/{LIST}" in place.names(folder):
            return folder
    return None


@contextmanager
def fetched_state(place: Place, folder: str) -> Iterator[Path]:
    """Give a state as a folder of this machine, while the block lasts."""
    with tempfile.TemporaryDirectory(prefix="gristmill-state-") as scratch:
        for name in place.names(folder):
            Path(scratch, Path(name).name).write_bytes(place.read(name))
        yield Path(scratch)


def drop_states(ledger: Ledger, kept: tuple[int, ...]) -> None:
    """Remove the states of other steps, but none that a successor has written. Raises Lost where there is one."""
    if not ledger.current():
        raise ledger.lost()
    for folder in ledger.place.folders(STATES):
        if step_of(folder) not in kept and epoch_of(folder) <= ledger.number:
            ledger.place.remove_folder(folder)
