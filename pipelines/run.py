"""One run of a streaming pipeline, from checked config to finished artifact."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from cluster.session import session
from operators.errors import BadRequest
from operators.storage.base import Split
from operators.storage.filesystem import Place
from operators.storage.listing import split_input
from pipelines.amend import failures, without_failures
from pipelines.config import identity, resolved
from pipelines.exits import Interrupted, RunFailed
from pipelines.lease import Keeper, myself, require_free, swept
from pipelines.ledger import claim, folded, next_ledger, tidy
from pipelines.opening import CARD, Otherwise, find
from pipelines.preflight import Checked, check
from pipelines.progress import Report, Watch, start_board
from pipelines.reading import split_rows
from pipelines.records import RECORDS, Records, State
from pipelines.rephrase import CUTS, STAGES, RephraseJob, load_stages, rephrase
from pipelines.summary import card, show, speed

SUMMARY, RUN = f"{RECORDS}/summary.json", f"{RECORDS}/run.json"  # for people; nothing reads them back


def run_rephrase(
    job: RephraseJob, otherwise: Otherwise = Otherwise.REFUSE, retry_failed: bool = False, say=print
) -> None:
    """Run or resume a rephrase job. Raises BadRequest, RunFailed or Interrupted."""
    began = time.monotonic()
    checked = check(job)
    for warning in checked.warnings:
        say(f"note: {warning}")
    splits = split_input(checked.files, job.input)
    run = _describe(job, checked, splits)
    place, records = find(checked.place, run, otherwise, CUTS, say)
    if retry_failed and records is None:
        raise BadRequest(
            f"--retry failed: nothing has failed at {place.url}, where no run has begun. Check output.path."
        )
    if records:
        require_free(place, records, say)
        _, records = find(place, run, Otherwise.REFUSE, CUTS, say)  # once more: another run may have gone on meanwhile
    state = records.now() if records else State()
    left = split_rows(splits, state, job.input.limit) or (retry_failed and failures(state.counts))
    if left or not (records and swept(place, records)):
        state = _go_on(job, place, records, run, splits, retry_failed, say)
    else:
        say(f"{place.url} is complete: nothing is left to do.")
    _describe_artifact(place, state, anew=False)
    show(state.counts, f"{place.url} · {time.monotonic() - began:,.0f} s")
    if not any(state.counts.get("kept", {}).values()):
        say("note: no row was kept. The reasons stand above, and with each row in rejected/.")
    if failed := failures(state.counts):
        say(f"{failed:,} units failed and stand in rejected/ with their reason. `--retry failed` does them again.")


def _describe(job: RephraseJob, checked: Checked, splits: list[Split]) -> dict:
    """Write down what makes this run what it is, as the artifact keeps it."""
    return {
        "fingerprint": identity(job) | checked.contents,
        "config": resolved(job),
        "input": {file.name: [file.bytes, file.version] for file in checked.files},
        "splits": [split.key for split in splits],
        "all_at_once": job.input.limit is not None,
    }


def _go_on(
    job: RephraseJob, place: Place, records: Records | None, run: dict, splits: list[Split], retry_failed: bool, say
) -> State:
    """Do what is left of the job as the owner of the artifact, and give what is settled then."""
    ledger = next_ledger(place, records)
    state = folded(ledger, records.state, records.tail) if records else State()
    if retry_failed:
        state = without_failures(ledger, state, job.whole_documents)
    with Keeper(claim(place, records, state, myself(), run)) as keeper:
        tenure = keeper.tenure
        place.publish(RUN, json.dumps(run, indent=1).encode())
        tidy(tenure)
        if work := split_rows(splits, tenure.state, job.input.limit):
            _stream(job, keeper, work, say)
        tenure.fold(at_least=1)
        if left := split_rows(splits, tenure.state, job.input.limit):
            raise RunFailed(f"{len(left)} parts of the input are not settled. The same command goes on with them.")
        keeper.sweep()
        _describe_artifact(place, tenure.state, anew=True)
        return tenure.state


def _stream(job: RephraseJob, keeper: Keeper, work: list[dict], say) -> None:
    """Run the DAG over what is left, showing progress."""
    ledger, settled = keeper.tenure.ledger, keeper.tenure.state.counts
    if settled.get("kept"):
        say(f"resuming: {sum(settled['kept'].values()):,} rows are already in {ledger.place.url}")
    # In this order: Ray sets signal handlers of its own.
    with session(job.cluster), _resumable(ledger.place.url):
        import ray

        from cluster.workers import warm

        board = start_board()
        board.add.remote({"read": {"of_bytes": _bytes(work)}})
        with Watch(lambda: ray.get(board.read.remote())), _failures_explained(lambda: ray.get(board.why.remote())):
            warm(partial(load_stages, job), STAGES - 1)  # engines have processes of their own
            rephrase(job, work, ledger, Report(board))
        counts = ray.get(board.read.remote())
        say(speed(counts["engine"]))
        if repeated := counts["read"].get("repeated_ids"):
            say(f"note: {repeated:,} documents have the id of another one. All are kept; `id` tells their rows apart.")


def _bytes(work: list[dict]) -> int:
    splits = [Split(**item["split"]) for row in work for item in json.loads(row["work"])]
    return sum(split.end - split.begin for split in splits)


def _describe_artifact(place: Place, state: State, anew: bool) -> None:
    """Write what stands for the whole artifact; of a complete one only what is missing, should its last run have died here."""
    texts = {SUMMARY: json.dumps(state.counts, indent=1), CARD: card(state.counts, place.url.rsplit("/", 1)[-1])}
    for name, text in texts.items():
        if anew or not place.exists(name):
            place.publish(name, text.encode())


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
