"""The rephrase pipeline as a run sees it: what is checked, what is left, what is told."""

from operators.storage.listing import split_input
from pipelines.flow.board.reporter import Reporter
from pipelines.flow.input.files import versions
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.opening import Otherwise
from pipelines.rephrase.card import RephraseCard
from pipelines.rephrase.dag import rephrase
from pipelines.rephrase.job import CUTS, RephraseJob
from pipelines.rephrase.preflight import check
from pipelines.rephrase.rows import REASONS, form
from pipelines.run.asking import AskingPipeline
from pipelines.run.execute import run_pipeline
from pipelines.run.recipe import described


class Rephrasing(AskingPipeline):
    """Raises BadRequest for what cannot work, before anything is spent."""

    card = RephraseCard()
    cuts = CUTS

    def __init__(self, job: RephraseJob):
        self.job, self.cluster, self.units = job, job.cluster, form(job.stitch).units
        checked = check(job)
        self.place, self.warnings = checked.place, checked.warnings
        self.splits = split_input(checked.files, job.input)
        self.recipe = described(
            *("rephrase", job, checked.contents, versions(checked.files), [split.key for split in self.splits]),
            all_at_once=job.input.limit is not None,
            asking=REASONS.asking,
        )

    def stream(self, work: list[dict], ledger: Ledger, report: Reporter) -> None:
        report.judge(self.job.faults.give_up_share, REASONS, self.units.kind)
        rephrase(self.job, work, ledger, report)


def run_rephrase(
    job: RephraseJob, otherwise: Otherwise = Otherwise.REFUSE, retry_failed: bool = False, say=print
) -> None:
    """Run or resume a rephrase job. Raises BadRequest, RunFailed or Interrupted."""
    run_pipeline(Rephrasing(job), otherwise, retry_failed, say)
