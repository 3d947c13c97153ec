"""One run of a pipeline, from checked job to finished artifact."""

import gc
import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from cluster.errors import in_a_line
from cluster.session import session
from operators.errors import BadRequest
from operators.storage.place import Place
from pipelines.counts import Counts
from pipelines.exits import CODES, Interrupted, RunFailed
from pipelines.flow.board.reporter import Reporter
from pipelines.flow.board.scoreboard import start_board
from pipelines.ledger.layout import CARD, RECORDS
from pipelines.ledger.lease import LOOK_S, Busy, Keeper, myself, require_free, swept
from pipelines.ledger.ledger import Lost, next_ledger
from pipelines.ledger.opening import Otherwise, find
from pipelines.ledger.reading import Records, read_records
from pipelines.ledger.records import State
from pipelines.ledger.rollback import failures, without_blamed, without_failures
from pipelines.ledger.tenure import Tenure, claim, folded, sweep, tidy
from pipelines.run.display import Display
from pipelines.run.ending import tell_end
from pipelines.run.pipeline import Pipeline
from pipelines.run.schedule import Schedule

NOTE = "note: "  # begins a line that the user should hear, of a stage too
SUMMARY, RUN = f"{RECORDS}/summary.json", f"{RECORDS}/run.json"  # for people; nothing reads them back


def run_pipeline(
    pipeline: Pipeline,
    otherwise: Otherwise = Otherwise.REFUSE,
    retry_failed: bool = False,
    say=print,
    tell: bool = True,
    board: Any = None,
) -> Place:
    """Run or resume a pipeline, and give the place of its artifact; `tell` shows what became of everything.

    With a `board` it is a stage of another run, which shows what is reported there and hears the signals.

    Raises BadRequest, RunFailed or Interrupted.
    """
    began = time.monotonic()
    for warning in pipeline.warnings if board is None else ():  # its schedule tells those of a stage
        say(f"{NOTE}{warning}")
    place, records = find(pipeline.place, pipeline.recipe, otherwise, pipeline.cuts, say)
    pipeline.place = place  # another one with --new and --fork
    if retry_failed and records is None:
        raise BadRequest(
            f"--retry failed: nothing has failed at {place.url}, where no run has begun. Check output.path."
        )
    if records:
        require_free(place, records, say)
        # Once more: another run may have gone on meanwhile.
        _, records = find(place, pipeline.recipe, Otherwise.REFUSE, pipeline.cuts, say)
    state = records.now() if records else State()
    left = pipeline.left(state) or (retry_failed and failures(state.counts, pipeline.units.asking))
    if left or not (records and swept(place, records)):
        with _stages_made(pipeline, say) if left and board is None else nullcontext():
            state = _go_on(pipeline, place, records, retry_failed, say, board)
    else:
        say(f"{place.url} is complete: nothing is left to do.")
    _describe_artifact(pipeline, place, state, anew=False)
    if board is not None:
        for name, value in pipeline.card.left_out(pipeline.recipe, state.counts):
            say(f"{NOTE}{name}: {value}")
    if tell:
        pipeline.card.show(pipeline.recipe, state.counts, f"{place.url} · {time.monotonic() - began:,.0f} s")
        tell_end(pipeline.card, pipeline.units, place, state.counts, say)
    return place


@contextmanager
def _stages_made(pipeline: Pipeline, say) -> Iterator[None]:
    """Run the stages of a pipeline, and hold the Ray on which that was done."""
    stages = list(pipeline.stages())
    with session(pipeline.cluster) if stages else nullcontext():
        if stages:
            schedule = Schedule(pipeline, stages, _as_stage, _is_complete, say)
            with _resumable(pipeline.place.url), Display(schedule.lines, schedule.notes):
                pipeline.given(schedule.run())
        yield


def _is_complete(pipeline: Pipeline) -> bool:
    """Whether nothing is left to do of what is needed, and its last run had the time to say so."""
    records = read_records(pipeline.place)
    same = records and all(records.recipe[key] == pipeline.recipe[key] for key in ("fingerprint", "input"))
    return bool(same and swept(pipeline.place, records) and not pipeline.left(records.now()))


def _as_stage(pipeline: Pipeline, name: str, board: Any) -> Exception | None:
    """Run what several runs may need at once, in a task; gives the error that ended it.

    Where another run is at work on it, its end is waited for, and what is left then is done. What the user should hear of it
    goes to the board, with the stage's name.
    """
    Reporter(board).hear_warnings()

    def say(line: str) -> None:
        import ray

        if line.startswith(NOTE):  # waits, for the board is read when this task has ended
            ray.get(board.note.remote(f"{name}: {line.removeprefix(NOTE)}"))

    while True:
        try:
            with _stopped_by_its_keeper():
                run_pipeline(pipeline, say=say, tell=False, board=board)
            return None
        except (Busy, Lost):
            board.tell.remote({"waits": True})
            time.sleep(LOOK_S)
            board.tell.remote({})
        except tuple(CODES) as error:
            return error


@contextmanager
def _stopped_by_its_keeper() -> Iterator[None]:
    """Have this process hear the SIGINT by which its Keeper stops it: in the processes of its tasks Ray blocks that.

    No other stage is in the process: a task has it alone. After the task it hears no more than before.
    """
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGINT, handler)


def _go_on(pipeline: Pipeline, place: Place, records: Records | None, retry_failed: bool, say, board: Any) -> State:
    """Do what is left of the job as the owner of the artifact, and give what is settled then."""
    ledger = next_ledger(place, records)
    state = folded(ledger, records.state, records.tail) if records else State()
    if retry_failed:
        state = without_failures(ledger, state, pipeline.units)
    state = pipeline.ready(place, ledger, state, say)
    with Keeper(claim(place, records, state, myself(), pipeline.recipe)) as keeper:
        tenure = keeper.tenure
        place.publish(RUN, json.dumps(pipeline.recipe, indent=1).encode())
        tidy(tenure)
        if work := pipeline.left(tenure.state):
            with _taking_back(pipeline, tenure):
                _stream(pipeline, keeper, work, say, board)
        tenure.fold(at_least=1)
        if left := pipeline.left(tenure.state):
            raise RunFailed(f"{len(left)} parts of the work are not settled. The same command goes on with them.")
        _describe_artifact(pipeline, place, tenure.state, anew=True)
        keeper.sweep()  # last: it has it known that all is done
        return tenure.state


@contextmanager
def _taking_back(pipeline: Pipeline, tenure: Tenure) -> Iterator[None]:
    """Where a run stops for what its rows have no part in, take back what it charged to them for that."""
    try:
        yield
    except RunFailed as stopped:
        if blamed := stopped.blamed:
            tenure.take_back(lambda ledger, state: without_blamed(ledger, state, pipeline.units, blamed))
            sweep(tenure)
        raise


def _stream(pipeline: Pipeline, keeper: Keeper, work: list, say, board: Any) -> None:
    """Do the work on Ray, showing progress where nobody else does."""
    ledger, settled = keeper.tenure.ledger, keeper.tenure.state.counts
    if settled.get("kept"):
        say(f"resuming: {sum(settled['kept'].values()):,} rows are already in {ledger.place.url}")
    if board is not None:
        _work(pipeline, work, keeper, board)
        _tell_afterwards(pipeline, board, say)
        return
    # In this order: Ray sets signal handlers of its own.
    with session(pipeline.cluster), _resumable(ledger.place.url):
        board, pace = start_board(), pipeline.pace()
        try:
            with Display(lambda whole: [pace.line(_read(board))], lambda: _read(board)["notes"]):
                _work(pipeline, work, keeper, board)
            _tell_afterwards(pipeline, board, say)
        finally:
            board.close.remote()  # engines that outlive a stream which failed end by it


def _work(pipeline: Pipeline, work: list, keeper: Keeper, board: Any) -> None:
    gc.collect()  # the actors of a dataset that failed in this process lie in cycles, and would keep their CPUs from this run
    board.add.remote(pipeline.of_all(work))
    state = keeper.tenure.state
    redo = sum(map(len, state.redo.values()))
    board.resume.remote(state.counts.get("kept", {}), redo, pipeline.units.beside)
    with _failures_explained(board):
        pipeline.stream(work, keeper.tenure.ledger, Reporter(board))


def _tell_afterwards(pipeline: Pipeline, board: Any, say) -> None:
    for line in pipeline.afterwards(_read(board)):
        say(line)


def _read(board: Any) -> Counts:
    import ray

    return ray.get(board.read.remote())


def _describe_artifact(pipeline: Pipeline, place: Place, state: State, anew: bool) -> None:
    """Write what stands for the whole artifact; of a complete one only what is missing, should its last run have died here."""
    title = place.url.rsplit("/", 1)[-1]
    texts = {
        SUMMARY: json.dumps(state.counts, indent=1),
        CARD: pipeline.card.readme(pipeline.recipe, state.counts, title),
    }
    for name, text in texts.items():
        if anew or not place.exists(name):
            place.publish(name, text.encode())
    if anew:
        for name, content in pipeline.report(state).items():
            place.publish(name, content)


@contextmanager
def _resumable(place: str) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into Interrupted."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(f"stopped. What is finished is in {place}; the same command resumes.") from error
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def _failures_explained(board) -> Iterator[None]:
    """Turn what Ray raises into RunFailed, with the message that a worker left for the user; into BadRequest where it is one."""
    import ray

    try:
        yield
    except ray.exceptions.RayError as error:
        why, asked_wrongly, blamed = ray.get(
            [board.why.remote(), board.is_bad_request.remote(), board.is_blamed.remote()]
        )
        if asked_wrongly:
            raise BadRequest(why) from error
        cause = getattr(error, "cause", None)
        if why is None and isinstance(cause, tuple(CODES)):
            raise cause from error
        raise RunFailed(why or f"{in_a_line(error)} The same command resumes.", blamed) from error
