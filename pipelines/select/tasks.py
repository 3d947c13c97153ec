"""The task of `select`: the choices of its selectors -> a page that compares them, and a copy of each beside it."""

import json
import tempfile
from pathlib import Path

from operators.select.choices import page
from pipelines.choose.artifact import ChoiceArtifact
from pipelines.choose.spec import SelectorSpec
from pipelines.choose.view import PoolView
from pipelines.flow.board.reporter import Reporter
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.publish import publish_part, table_name
from pipelines.ledger.records import Commit
from pipelines.ledger.spans import WHOLE
from pipelines.pool.artifact import PoolArtifact
from pipelines.select.job import SelectJob
from pipelines.select.report import MEASURES, PAGE, report_of, shared, split_of


def compare_choices(
    job: SelectJob,
    choices: list[tuple[SelectorSpec, ChoiceArtifact]],
    view: PoolView,
    target: PoolArtifact | None,
    work: list[str],
    ledger: Ledger,
    report: Reporter,
) -> int:
    """Publish a page that compares choices from a pool; then copy and commit those that are left to do.

    Gives the number of rows of the target that are in the pool too.
    """
    with report.explaining(), tempfile.TemporaryDirectory(prefix="gristmill-report-") as folder:
        if not ledger.current():
            raise ledger.lost()
        pool, title = view.stored(job.examples, Path(folder, "pool")), ledger.place.url.rpartition("/")[2]
        facts = {"rows of the target that are in the pool too": shared(view.pool, target)} if target else {}
        made = report_of(job, title, choices, pool, facts)
        ledger.place.publish(PAGE, page(made).encode())
        ledger.place.publish(MEASURES, json.dumps(made.data(), indent=1).encode())
        for spec, choice in choices:
            if split_of(spec.label) in work:
                _copy(choice, spec.label, ledger)
        return sum(facts.values())


def _copy(choice: ChoiceArtifact, label: str, ledger: Ledger) -> None:
    """Commit the rows of a choice as a data set of this artifact."""
    folder = f"data/{label}"
    parts = [publish_part(ledger, table_name(ledger, folder, "parquet"), table) for table in choice.tables()]
    counts = {"kept": {label: choice.rows}}
    ledger.commit(f"{label}-0", Commit(parts, {split_of(label): [WHOLE]}, counts))
