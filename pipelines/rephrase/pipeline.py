"""The rephrase pipeline as a run sees it: what is checked, what is left, what is told."""

import json
from functools import partial

from operators.storage.base import Split
from operators.storage.listing import split_input
from pipelines.counts import Counts
from pipelines.flow.board.reporter import Reporter
from pipelines.flow.input.files import bytes_of, versions
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.opening import Otherwise
from pipelines.ledger.records import State
from pipelines.ledger.rollback import without_blamed, without_failures
from pipelines.reasons import Blame
from pipelines.rephrase.card import RephraseCard, speed
from pipelines.rephrase.dag import STAGES, load_stages, rephrase
from pipelines.rephrase.job import CUTS, RephraseJob
from pipelines.rephrase.pace import RequestPace
from pipelines.rephrase.preflight import check
from pipelines.rephrase.read import split_rows
from pipelines.run.execute import run_pipeline
from pipelines.run.pipeline import Pipeline
from pipelines.run.recipe import described


class Rephrasing(Pipeline):
    """Raises BadRequest for what cannot work, before anything is spent."""

    card = RephraseCard()
    cuts = CUTS

    def __init__(self, job: RephraseJob):
        self.job, self.cluster = job, job.cluster
        checked = check(job)
        self.place, self.warnings = checked.place, checked.warnings
        self.splits = split_input(checked.files, job.input)
        keys = [split.key for split in self.splits]
        limited = job.input.limit is not None
        self.recipe = described("rephrase", job, checked.contents, versions(checked.files), keys, all_at_once=limited)

    def left(self, state: State) -> list[dict]:
        return split_rows(self.splits, state, self.job.input.limit)

    def of_all(self, work: list[dict]) -> Counts:
        splits = [Split(**item["split"]) for row in work for item in json.loads(row["work"])]
        return {"read": {"of_bytes": bytes_of(splits)}}

    def pace(self) -> RequestPace:
        return RequestPace()

    def stream(self, work: list[dict], ledger: Ledger, report: Reporter) -> None:
        from cluster.workers import warm

        report.judge(self.job.faults.give_up_share)
        warm(partial(load_stages, self.job), STAGES - 1)  # engines have processes of their own
        rephrase(self.job, work, ledger, report)

    def without_failures(self, ledger: Ledger, state: State) -> State:
        return without_failures(ledger, state, self.job.whole_documents)

    def without_blamed(self, ledger: Ledger, state: State, blamed: tuple[Blame, ...]) -> State:
        return without_blamed(ledger, state, blamed, self.job.whole_documents)

    def afterwards(self, counts: Counts) -> list[str]:
        said = [speed(counts["engine"])]
        if repeated := counts["read"].get("repeated_ids"):
            said.append(
                f"note: {repeated:,} documents have the id of another one. All are kept; `id` tells their rows apart."
            )
        return said


def run_rephrase(
    job: RephraseJob, otherwise: Otherwise = Otherwise.REFUSE, retry_failed: bool = False, say=print
) -> None:
    """Run or resume a rephrase job. Raises BadRequest, RunFailed or Interrupted."""
    run_pipeline(Rephrasing(job), otherwise, retry_failed, say)
