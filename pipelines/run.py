"""One run of a streaming pipeline, from checked config to finished artifact."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cluster.session import session
from operators.storage.base import Split
from operators.storage.listing import split_input
from pipelines.config import identity, resolved
from pipelines.counts import Counts
from pipelines.exits import Interrupted, RunFailed
from pipelines.ledger import CARD, Ledger, held
from pipelines.order import Spans
from pipelines.preflight import Checked, check
from pipelines.progress import Report, Scoreboard, Watch
from pipelines.rephrase import STAGES, RephraseJob, load_stages, rephrase
from pipelines.summary import card, show, speed

SUMMARY = "_gristmill/summary.json"


def run_rephrase(job: RephraseJob, say=print) -> None:
    """Run or resume a rephrase job. Raises BadRequest, RunFailed or Interrupted."""
    began = time.monotonic()
    checked = check(job)
    for warning in checked.warnings:
        say(f"note: {warning}")
    Ledger(checked.place).refuse_to_overwrite()
    with held(checked.place):
        counts = _run(job, checked, say)
    show(counts, checked.place.url, time.monotonic() - began)


def _run(job: RephraseJob, checked: Checked, say) -> Counts:
    """Do what is left of the job, and give the counts of the whole artifact."""
    ledger = Ledger(checked.place)
    fingerprint = identity(job) | {"prompts": checked.prompts}
    ledger.open(fingerprint, resolved(job), checked.files, all_at_once=job.input.limit is not None)
    splits = split_input(checked.files, job.input)
    work_left = bool(_left(splits, ledger.done(), job))
    if work_left:
        _stream(job, checked, ledger, splits, say)
        ledger.reload()
        if left := _left(splits, ledger.done(), job):
            raise RunFailed(f"{len(left)} parts of the input are not settled. The same command goes on with them.")
    else:
        say(f"{checked.place.url} is complete: nothing is left to do.")
    return _finish(checked, ledger, anew=work_left)


def _left(splits: list[Split], done: dict[str, Spans], job: RephraseJob) -> list[dict]:
    from pipelines.reading import split_rows

    return split_rows(splits, done, job.input.limit)


def _stream(job: RephraseJob, checked: Checked, ledger: Ledger, splits: list[Split], say) -> None:
    """Run the DAG over what is left, showing progress."""
    work = _left(splits, ledger.done(), job)
    settled = ledger.counts()
    if settled:
        say(f"resuming: {sum(settled['kept'].values()):,} rows are already in {checked.place.url}")
    with session(job.cluster), _resumable(checked.place.url):
        import ray

        from cluster.workers import warm

        board = ray.remote(Scoreboard).options(num_cpus=0).remote()
        board.add.remote({"read": {"of_bytes": _bytes(work)}})
        with Watch(lambda: ray.get(board.read.remote())), _failures_explained(lambda: ray.get(board.why.remote())):
            warm(load_stages, STAGES - 1)  # engines have processes of their own
            rephrase(job, work, checked.place, Report(board))
        counts = ray.get(board.read.remote())
        say(speed(counts["engine"]))
        if repeated := counts["read"].get("repeated_ids"):
            say(f"note: {repeated:,} documents have the id of another one. All are kept; `id` tells their rows apart.")


def _bytes(work: list[dict]) -> int:
    splits = [Split(**item["split"]) for row in work for item in json.loads(row["work"])]
    return sum(split.end - split.begin for split in splits)


def _finish(checked: Checked, ledger: Ledger, anew: bool) -> Counts:
    """Write what stands for the whole artifact; of a complete one only what is missing, should its last run have died here."""
    counts = ledger.counts()
    texts = {SUMMARY: json.dumps(counts, indent=1), CARD: card(counts, checked.place.url.rsplit("/", 1)[-1])}
    for name, text in texts.items():
        if anew or not checked.place.exists(name):
            checked.place.publish(name, text.encode())
    return counts


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
