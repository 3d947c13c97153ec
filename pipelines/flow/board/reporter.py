"""What the processes of a run are handed to reach its scoreboard."""

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from cluster import log
from operators.errors import BadRequest, StorageFailure
from operators.models.device import no_gpu_because
from operators.models.engines.base import EngineFailure
from operators.storage.base import CorruptFile
from pipelines.counts import Counts
from pipelines.exits import Blamed, StageFailure
from pipelines.flow.board.tracker import Cursor
from pipelines.flow.board.verdicts import Fate, Verdict
from pipelines.reasons import Blame, Reasons


class _ToUser(logging.Handler):
    """Hands warnings to a run's reporter."""

    def __init__(self, report: "Reporter"):
        super().__init__(logging.WARNING)
        self.report = report

    def emit(self, record: logging.LogRecord) -> None:
        self.report.note(record.getMessage())


class Reporter:
    """What workers are handed to reach the scoreboard. `run` tells the runs apart whose work one process does."""

    def __init__(self, board):
        self.board, self.run = board, uuid.uuid4().hex

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self.hear_warnings()

    def hear_warnings(self) -> None:
        """Have the user told what this process warns of from now on; who has the user's screen tells it there."""
        if log.begun():
            return
        for name in log.OURS:
            logger = logging.getLogger(name)
            for handler in [each for each in logger.handlers if isinstance(each, _ToUser)]:
                logger.removeHandler(handler)
            logger.addHandler(_ToUser(self))

    def begin(self, key: str) -> int:
        """Note that some work begins; wait for the number of processes that died of it before (about a millisecond)."""
        import ray

        return ray.get(self.board.begin.remote(key))

    def end(self, key: str, answered: bool = False) -> None:
        self.board.end.remote(key, answered)

    def settled(self, keys: list[str]) -> None:
        """Tell the engines which orders are committed, and wait until that is noted: they hold back others for it."""
        import ray

        ray.get(self.board.settle.remote(keys))

    async def begun(self, key: str) -> int:
        return await self.board.begin.remote(key)

    async def deaths_at(self, key: str) -> int:
        return await self.board.deaths_at.remote(key)

    async def settled_since(self, cursor: Cursor | None) -> tuple[Cursor, list[str] | None]:
        return await self.board.settled_since.remote(cursor)

    async def settled_of(self, keys: list[str]) -> list[bool]:
        return await self.board.settled_of.remote(keys)

    async def engine_starts(self, actor: str) -> tuple[int, int, bool]:
        return await self.board.engine_starts.remote(actor)

    async def is_over(self) -> bool:
        """Tell whether the run is over, as it is where its scoreboard is gone for good."""
        from ray.exceptions import ActorDiedError, RayError

        try:
            return await self.board.is_over.remote()
        except RayError as error:
            return isinstance(error, ActorDiedError)

    def engine_started(self) -> None:
        self.board.engine_started.remote()

    def answered(self) -> None:
        self.board.answered.remote()

    def add(self, counts: Counts) -> None:
        self.board.add.remote(counts)

    def engine(self, name: str, state: dict) -> None:
        self.board.engine.remote(name, state)

    def latest(self, state: dict) -> None:
        self.board.tell.remote(state)

    def failed(self, message: str, asked_wrongly: bool = False, blamed: tuple[Blame, ...] = ()) -> None:
        """Take down why the run cannot go on, and wait until that is noted."""
        import ray

        ray.get(self.board.fail.remote(message, asked_wrongly, blamed))

    def judge(self, share: float | None, reasons: Reasons, kind: str) -> None:
        import ray

        ray.get(self.board.judge.remote(share, reasons, kind))

    async def was_answered(self, kind: str) -> None:
        await self.board.was_answered.remote(kind)

    async def was_lost(self, kind: str, fate: Fate) -> Verdict | None:
        return await self.board.was_lost.remote(kind, fate)

    def became(self, fates: dict[str, list[Fate]]) -> None:
        """Take down what became of the answers of some kinds. Raises Blamed where it is not the documents' doing."""
        import ray

        for verdict in ray.get([self.board.became.remote(kind, some) for kind, some in fates.items()]):
            if verdict:
                raise Blamed(*verdict)

    def note(self, line: str) -> None:
        """Have the user told something, once however many processes say it."""
        self.board.note.remote(line)

    def unused_gpu_noted(self) -> None:
        """Have the user told where Ray gave this process a GPU that torch cannot use."""
        import ray

        if ray.get_gpu_ids() and (why := no_gpu_because()):
            self.note(f"Ray hands out GPUs, and the models work on processors: {why}")

    def noticed(self, message: str) -> None:
        import ray

        ray.get(self.board.notice.remote(message))

    def last_notice(self) -> str | None:
        import ray

        return ray.get(self.board.last_notice.remote())

    def why(self) -> str | None:
        import ray

        return ray.get(self.board.why.remote())

    @contextmanager
    def explaining(self, stage: str | None = None) -> Iterator[None]:
        """Take down the message of an error that is meant for the user: Ray passes on only the last of a chain's types.

        `stage` is where the rows left to which an engine gave what it now turns out to be to blame for.
        """
        try:
            yield
        except (EngineFailure, BadRequest, CorruptFile, StageFailure, StorageFailure) as error:
            self.failed(str(error), isinstance(error, BadRequest), _blamed(error, stage))
            raise


def _blamed(error: Exception, stage: str | None) -> tuple[Blame, ...]:
    """Give what was charged to rows for an error that is none of theirs."""
    words = error.blames if isinstance(error, EngineFailure) else ()
    return error.blamed if isinstance(error, Blamed) else tuple((None, f"{stage}/{word}") for word in words)
