"""What is done to rewrites once they are there: clean -> faithful -> stitch -> mix."""

from collections.abc import Callable, Iterator
from functools import partial

import pyarrow as pa

from operators.rewrite.clean import Clean
from operators.rewrite.faithful import Faithful
from operators.rewrite.mix import Mix
from operators.rewrite.prompts import load_prompt
from operators.rewrite.stitch import Stitch
from operators.table import ORIGINAL
from pipelines.flow.board.verdicts import Fate
from pipelines.flow.faults.bisect import TableWork
from pipelines.flow.faults.isolation import Isolation
from pipelines.flow.orders.order import from_block, order_key
from pipelines.rephrase.job import RephraseJob


def refine(
    block: pa.Table, job: RephraseJob, isolation: Isolation, operators: Callable[[RephraseJob], dict] | None = None
) -> Iterator[pa.Table]:
    """Do what is done to rewrites once they are there: clean -> faithful -> stitch -> mix."""
    operators = operators or refinements
    works = [
        TableWork(stage, partial(_operator, operators, job, stage), stage in BY_DOCUMENT) for stage in operators(job)
    ]
    with isolation.report.explaining():
        for order in from_block(block):
            rows = isolation.run(works, order_key(order), order.rows)
            isolation.report.became(fates_of(rows))
            yield order.with_rows(rows).to_block()


def fates_of(rows: pa.Table) -> dict[str, list[Fate]]:
    """Tell what became of the answers of each style, in order; what left before it was asked for is none."""
    fates: dict[str, list[Fate]] = {}
    columns = ("style", "stage", "reason", "detail", "document_id")
    for style, stage, reason, detail, document in zip(*(rows[name].to_pylist() for name in columns), strict=True):
        if style in (None, ORIGINAL) or stage not in (None, *JUDGED, "mix"):
            continue
        bad = stage in JUDGED
        fates.setdefault(style, []).append(
            Fate(f"{stage}/{reason}", f"document {document}: {detail}") if bad else Fate(None)
        )
    return fates


JUDGED = ("rephrase", "clean", "faithful")  # stages that turn answers down
BY_DOCUMENT = ("stitch", "mix")  # operators that need the rows of a document together
# Built once in each worker process: an encoder takes seconds to load.
_BUILT: dict[str, dict] = {}


def refinements(job: RephraseJob) -> dict[str, Callable[[pa.Table], pa.Table]]:
    """Give the operators of `refine` by the names of their stages, in order."""
    key = repr((job.styles, job.clean, job.faithful, job.stitch, job.mix))
    if key not in _BUILT:
        prompts = {prompt.name: prompt for prompt in map(load_prompt, job.styles)}
        stitch = {"stitch": Stitch()} if job.stitch else {}
        _BUILT.clear()
        _BUILT[key] = {
            "clean": Clean(job.clean, prompts),
            "faithful": Faithful(job.faithful),
            **stitch,
            "mix": Mix(job.mix, len(job.styles)),
        }
    return _BUILT[key]


def _operator(operators: Callable[[RephraseJob], dict], job: RephraseJob, stage: str) -> Callable[[pa.Table], pa.Table]:
    return operators(job)[stage]
