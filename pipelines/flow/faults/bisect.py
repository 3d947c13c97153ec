"""What raises over a row leaves alone: a batch is halved until the row to blame is found, the others go on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from operators.errors import BadRequest, StorageFailure
from operators.models.engines.base import EngineFailure
from operators.storage.base import CorruptFile
from operators.table import reject
from operators.text.extract import ExtractorFailure
from pipelines.exits import StageFailure

NO_ROWS_FAULT = (BadRequest, EngineFailure, StorageFailure, CorruptFile, ExtractorFailure, StageFailure, ImportError)
MOST_DETAIL = 500  # characters
MANY = 20  # rows, from which on all of them at fault means none
# Rows at fault since the last good one in this process, by run and stage: Ray hands a process to one run after the other.
BLAMED: dict[tuple[str, str], int] = {}


class Work(Protocol):
    """What a stage does to a batch. It travels to other processes, so it must be picklable.

    `prepare` loads what is slow to load; no deadline runs then. A call may raise for what is in a row. `halves` gives the
    batch itself where nothing smaller can be worked on; `rejected` what comes of such a batch when it is given up.
    """

    stage: str

    def prepare(self) -> None: ...

    def __call__(self, batch: Any) -> Any: ...

    def halves(self, batch: Any) -> list: ...

    def rejected(self, batch: Any, reason: str, detail: str) -> Any: ...

    def joined(self, results: list) -> Any: ...


@dataclass(frozen=True)
class TableWork:
    """An operator over tables. `build` gives it, quickly when asked again; rejected rows must pass through it unharmed."""

    stage: str
    build: Callable[[], Callable[[pa.Table], pa.Table]]
    whole_documents: bool = False

    def prepare(self) -> None:
        self.build()

    def __call__(self, table: pa.Table) -> pa.Table:
        return self.build()(table)

    def halves(self, table: pa.Table) -> list[pa.Table]:
        if not self.whole_documents:
            middle = len(table) // 2
            return [table[:middle], table[middle:]] if middle else [table]
        positions = table["position"].to_numpy()
        documents = np.unique(positions)
        if len(documents) < 2:
            return [table]
        first = positions < documents[len(documents) // 2]
        return [table.filter(pa.array(mask)) for mask in (first, ~first)]

    def rejected(self, table: pa.Table, reason: str, detail: str) -> pa.Table:
        return self.build()(reject(table, self.stage, dict.fromkeys(range(len(table)), (reason, detail))))

    def joined(self, tables: list[pa.Table]) -> pa.Table:
        return pa.concat_tables(tables, promote_options="default")


def bisect(work: Work, batch: Any, run: str = "") -> Any:
    """Do the work, and reject the rows of which it raises. Raises StageFailure where that is each of many in a row of a run."""
    key = (run, work.stage)
    blamed: list[tuple[int, str]] = []
    result = _bisected(work, batch, blamed)
    rows = sum(rows for rows, _ in blamed)
    if len(batch):
        BLAMED[key] = BLAMED.get(key, 0) + rows if rows == len(batch) else 0
    if rows and BLAMED[key] >= MANY:
        raise StageFailure(
            f"the stage {work.stage!r} raised on each of {BLAMED[key]} rows, so no row is to blame: {blamed[0][1]}. "
            "Once that is mended, the same command goes on; --retry failed does again what was rejected for it."
        )
    return result


def _bisected(work: Work, batch: Any, blamed: list[tuple[int, str]]) -> Any:
    """Do the work, and take down how many rows were rejected and why."""
    try:
        return work(batch)
    except BaseException as error:
        if not _a_rows_fault(error):
            raise
    halves = work.halves(batch)
    if len(halves) > 1:
        return work.joined([_bisected(work, half, blamed) for half in halves])
    try:
        return work(batch)  # once more: memory was short, perhaps, while others were there
    except BaseException as error:
        if not _a_rows_fault(error):
            raise
        blamed.append((len(batch), told(error)))
        return work.rejected(batch, "error", told(error))


def _a_rows_fault(error: BaseException) -> bool:
    """Tell what a row may have done from what stops the run. A panic of Rust is no Exception, for no reason of ours."""
    return (isinstance(error, Exception) and not isinstance(error, NO_ROWS_FAULT)) or _is_panic(error)


def _is_panic(error: BaseException) -> bool:
    return type(error).__name__ == "PanicException"


def told(error: BaseException) -> str:
    """Say in a line what an exception says."""
    return f"{type(error).__name__}: {error}"[:MOST_DETAIL]
