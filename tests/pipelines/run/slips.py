"""A pipeline of the tests: each writes one row, once a word is given; and one that stands on others."""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from cluster.claims import A_CPU, Claims
from cluster.session import ClusterConfig
from operators.errors import BadRequest
from operators.storage.config import StorageConfig
from pipelines.flow.board.pace import StillPace
from pipelines.ledger.publish import publish_part, table_name
from pipelines.ledger.records import Commit
from pipelines.ledger.spans import WHOLE
from pipelines.run.card import Card
from pipelines.run.execute import run_pipeline
from pipelines.run.output import Output, output_place
from pipelines.run.pipeline import Pipeline
from pipelines.run.recipe import described
from pipelines.run.stage import Stage

SLIP = "slip:0-1"
PATIENCE_S = 60


@dataclass
class SlipJob:
    word: str = ""
    output: Output = field(default_factory=Output)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)


class SlipCard(Card):
    tag, columns = "slip", "One row."

    def what(self, recipe):
        return "A slip."

    def facts(self, recipe, counts):
        return [("rows", str(counts.get("kept", {}).get("rows", 0)))]


class Slip(Pipeline):
    """Writes its word. In `folder` it leaves a file `WORD.begun`, waits for all files in `waits`, and leaves `WORD.ended`.

    Where it waits too long it leaves `WORD.in_vain`. It tells `notes` afterwards.
    Where there is a file `WORD.fails` it refuses, and with `WORD.breaks` it has a fault.
    """

    card = SlipCard()

    def __init__(self, folder: Path, word: str, waits: tuple[str, ...] = (), stages: tuple[Stage, ...] = ()):
        self.folder, self.word, self.waits, self.declared = folder, word, waits, stages
        self.notes: tuple[str, ...] = ()
        self.job, self.cluster = SlipJob(word, Output(str(folder / word))), ClusterConfig()
        self.place = output_place(self.job.output.path, self.job.storage, "")
        self.recipe = described("slip", self.job, {}, {}, [SLIP])

    def stages(self):
        return self.declared

    def left(self, state):
        return [SLIP] if state.lacks(SLIP) else []

    def of_all(self, work):
        return {"read": {"of_slips": len(work)}}

    def afterwards(self, counts):
        return [f"note: {note}" for note in self.notes] + ["a slip a second"]

    def pace(self):
        return StillPace(f"writing {self.word}")

    def stream(self, work, ledger, report):
        with report.explaining():
            (self.folder / f"{self.word}.begun").touch()
            deadline = time.monotonic() + PATIENCE_S
            while not all((self.folder / name).exists() for name in self.waits):
                if time.monotonic() > deadline:
                    (self.folder / f"{self.word}.in_vain").touch()
                    raise BadRequest(f"{self.word} waited in vain for {', '.join(self.waits)}")
                time.sleep(0.05)
            if (self.folder / f"{self.word}.fails").exists():
                raise BadRequest(f"{self.word} cannot be written")
            if (self.folder / f"{self.word}.breaks").exists():
                raise ValueError(f"{self.word} is torn")
            part = publish_part(ledger, table_name(ledger, "data", "parquet"), pa.table({"id": [self.word]}))
            ledger.commit("slip-0", Commit([part], {SLIP: [WHOLE]}, {"kept": {"rows": 1}}))
            (self.folder / f"{self.word}.ended").touch()


def slip(
    folder: Path, word: str, after: tuple[str, ...] = (), waits: tuple[str, ...] = (), claims: Claims = A_CPU, then=None
) -> Stage:
    """Declare a slip as a stage."""
    return Stage(word, "slip", Slip(folder, word, waits).given, after, claims, then=then)


def main(folder: Path) -> None:
    """Run two stages side by side, which wait for a file `go`, and what stands on them."""
    stages = tuple(slip(folder, word, waits=("go",)) for word in ("one", "two"))
    last = Slip(folder, "last", stages=stages)
    last.cluster = ClusterConfig(cpus=2, object_store_mb=100)
    run_pipeline(last, tell=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
