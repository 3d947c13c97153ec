"""One run of a pipeline, from checked job to finished artifact."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import chain

from cluster.session import session
from operators.errors import BadRequest
from operators.storage.filesystem import Place
from pipelines.amend import failures
from pipelines.exits import Interrupted, RunFailed
from pipelines.lease import Keeper, myself, require_free, swept
from pipelines.ledger import claim, folded, next_ledger, tidy
from pipelines.opening import CARD, Otherwise, find
from pipelines.pipeline import Pipeline
from pipelines.progress import Report, Watch, start_board
from pipelines.records import RECORDS, Records, State

SUMMARY, RUN = f"{RECORDS}/summary.json", f"{RECORDS}/run.json"  # for people; nothing reads them back


def run_pipeline(
    pipeline: Pipeline,
    otherwise: Otherwise = Otherwise.REFUSE,
    retry_failed: bool = False,
    say=print,
    tell: bool = True,
) -> Place:
    """Run or resume a pipeline, and give the place of its artifact; `tell` shows what became of everything.

    Raises BadRequest, RunFailed or Interrupted.
    """
    began = time.monotonic()
    for warning in pipeline.warnings:
        say(f"note: {warning}")
    place, records = find(pipeline.place, pipeline.run, otherwise, pipeline.cuts, say)
    if retry_failed and records is None:
        raise BadRequest(
            f"--retry failed: nothing has failed at {place.url}, where no run has begun. Check output.path."
        )
    if records:
        require_free(place, records, say)
        # Once more: another run may have gone on meanwhile.
        _, records = find(place, pipeline.run, Otherwise.REFUSE, pipeline.cuts, say)
    state = records.now() if records else State()
    left = pipeline.left(state) or (retry_failed and failures(state.counts))
    if left or not (records and swept(place, records)):
        if left:
            _run_needed(pipeline, say)
        state = _go_on(pipeline, place, records, retry_failed, say)
    else:
        say(f"{place.url} is complete: nothing is left to do.")
    _describe_artifact(pipeline, place, state, anew=False)
    if tell:
        pipeline.show(pipeline.run, state.counts, f"{place.url} · {time.monotonic() - began:,.0f} s")
    if not any(state.counts.get("kept", {}).values()):
        say("note: no row was kept. The reasons stand above, and with each row in rejected/.")
    if failed := failures(state.counts):
        say(f"{failed:,} units failed and stand in rejected/ with their reason. `--retry failed` does them again.")
    return place


def _run_needed(pipeline: Pipeline, say) -> None:
    """Run what a pipeline needs, on one Ray."""
    needed = iter(pipeline.needs())
    first = next(needed, None)
    with session(pipeline.cluster, pipeline.quiet) if first else nullcontext():
        for one in chain([first] if first else (), needed):
            say(f"needed first: {one.place.url}")
            run_pipeline(one, say=lambda line: None, tell=False)


def _go_on(pipeline: Pipeline, place: Place, records: Records | None, retry_failed: bool, say) -> State:
    """Do what is left of the job as the owner of the artifact, and give what is settled then."""
    ledger = next_ledger(place, records)
    state = folded(ledger, records.state, records.tail) if records else State()
    if retry_failed:
        state = pipeline.without_failures(ledger, state)
    state = pipeline.ready(place, ledger, state, say)
    with Keeper(claim(place, records, state, myself(), pipeline.run)) as keeper:
        tenure = keeper.tenure
        place.publish(RUN, json.dumps(pipeline.run, indent=1).encode())
        tidy(tenure)
        if work := pipeline.left(tenure.state):
            _stream(pipeline, keeper, work, say)
        tenure.fold(at_least=1)
        if left := pipeline.left(tenure.state):
            raise RunFailed(f"{len(left)} parts of the work are not settled. The same command goes on with them.")
        _describe_artifact(pipeline, place, tenure.state, anew=True)
        keeper.sweep()  # last: it has it known that all is done
        return tenure.state


def _stream(pipeline: Pipeline, keeper: Keeper, work: list, say) -> None:
    """Do the work on Ray, showing progress."""
    ledger, settled = keeper.tenure.ledger, keeper.tenure.state.counts
    if settled.get("kept"):
        say(f"resuming: {sum(settled['kept'].values()):,} rows are already in {ledger.place.url}")
    # In this order: Ray sets signal handlers of its own.
    with session(pipeline.cluster, pipeline.quiet), _resumable(ledger.place.url):
        import ray

        board = start_board()
        board.add.remote(pipeline.of_all(work))
        showing = Watch(lambda: ray.get(board.read.remote()), pipeline.pace())
        with showing, _failures_explained(lambda: ray.get(board.why.remote())):
            pipeline.stream(work, ledger, Report(board))
        for line in pipeline.afterwards(ray.get(board.read.remote())):
            say(line)


def _describe_artifact(pipeline: Pipeline, place: Place, state: State, anew: bool) -> None:
    """Write what stands for the whole artifact; of a complete one only what is missing, should its last run have died here."""
    title = place.url.rsplit("/", 1)[-1]
    texts = {SUMMARY: json.dumps(state.counts, indent=1), CARD: pipeline.card(pipeline.run, state.counts, title)}
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
def _failures_explained(why: Callable[[], str | None]) -> Iterator[None]:
    """Turn what Ray raises into RunFailed, with the message that a worker left for the user where there is one."""
    from ray.exceptions import RayError

    try:
        yield
    except RayError as error:
        raise RunFailed(why() or f"{error}\nThe same command resumes.") from error
