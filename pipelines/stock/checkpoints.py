"""The checkpoints of a training artifact."""

from operators.errors import BadRequest
from operators.storage.place import Place
from pipelines.ledger.layout import CHECKPOINTS, MODEL_FILE
from pipelines.ledger.reading import read_records


def checkpoints(place: Place) -> list[str]:
    """Give the folders of an artifact's checkpoints, relative to it, in the order of their steps."""
    records = read_records(place)
    if records is None:
        return []
    parts = (part.name for commit in records.commits(place) for part in commit.parts)
    folders = {name.rpartition("/")[0] for name in parts if MODEL_FILE.fullmatch(name)}
    return sorted(folders, key=step_of)


def step_of(folder: str) -> int:
    """Read the step in the name of a checkpoint's folder."""
    return int(folder.rpartition("-step-")[2])


def checkpoint_folder(run: int, step: int) -> str:
    """Name the folder of a checkpoint."""
    return f"{CHECKPOINTS}/run-{run:08}-step-{step:08}"


def last_checkpoint(place: Place) -> str | None:
    records = read_records(place)
    if not (records and (folders := checkpoints(place))):
        return None
    last, steps = folders[-1], int(records.recipe["splits"][0].rpartition("-")[2])
    if step_of(last) < steps:
        raise BadRequest(
            f"{place.url} is not finished: its last checkpoint is that of step {step_of(last):,} of {steps:,}. Go on with it "
            f"first, or name that checkpoint itself: {place.url}/{last}"
        )
    return f"{place.url}/{last}"
