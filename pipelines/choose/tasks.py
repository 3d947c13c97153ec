"""The task of `choose`: pool and features -> selector -> the chosen rows, in the order of the picks."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, Choice
from pipelines.choose.artifact import TOLD
from pipelines.choose.inputs import SelectorInputs
from pipelines.choose.job import ChooseJob
from pipelines.choose.picks import chosen_rows
from pipelines.choose.spec import SelectorSpec
from pipelines.choose.view import PoolView, StoredPool, whole
from pipelines.counts import add_counts
from pipelines.flow.board.reporter import Reporter
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.publish import publish_file, publish_part, table_name
from pipelines.ledger.records import Commit
from pipelines.ledger.spans import WHOLE
from pipelines.run.card import words_of

CHOICE = "choice:0-1"  # the one unit of work
EQUAL_CONTENT, UNCOUNTED = "equal_content", "no_tokens"  # why no selector may choose a row


def choose(
    job: ChooseJob, spec: SelectorSpec, view: PoolView, inputs: SelectorInputs, ledger: Ledger, report: Reporter
) -> None:
    """Have the selector choose, and commit the rows. One task, which may use all processors of a node."""
    with report.explaining(), tempfile.TemporaryDirectory(prefix="gristmill-choose-") as folder:
        if not ledger.current():
            raise ledger.lost()
        everything = view.stored(job.examples, Path(folder, "everything"))
        kept, left_out = eligible(everything, job)
        pool = view.stored(job.examples, Path(folder, "pool"), kept)
        tokens_N = whole(pool, "tokens").to_numpy() if job.budget.tokens is not None else None
        try:
            choice = spec.build(inputs.values(job, pool, Path(folder)))(pool, Budget(job.budget, tokens_N))
        except BadRequest as error:
            raise BadRequest(f"{spec.label}: {error}") from error
        reads = [*inputs.reads(spec), *(["tokens"] if tokens_N is not None else [])]
        beside = _beside(pool, choice, reads)
        excluded = add_counts(left_out, choice.excluded)
        told = {"excluded": excluded, "notes": choice.notes, "eligible": view.pool.rows - sum(excluded.values())}
        if view.pool.rows and not told["eligible"]:
            raise BadRequest(
                f"{spec.label} could choose none of the {view.pool.rows:,} rows: {words_of(excluded)}. Mend what all of them "
                "meet, or take another selector."
            )
        positions = pool.positions(choice.positions)
        parts = [
            publish_part(ledger, table_name(ledger, "data", "parquet"), rows)
            for rows in chosen_rows(view.pool, job.examples, positions, beside, Path(folder))
        ]
        parts.append(publish_file(ledger, TOLD, json.dumps(told, indent=1).encode()))
        counts = {"kept": {"chosen": len(positions)}, "excluded": excluded}
        ledger.commit("choice-0", Commit(parts, {CHOICE: [WHOLE]}, counts))


def eligible(pool: StoredPool, job: ChooseJob) -> tuple[np.ndarray | None, dict[str, int]]:
    """Give the positions of the rows that any selector may choose (int64, sorted; None: all), and count the others by reason.

    With `distinct` these are the earliest of equal content; where tokens are the budget, those whose tokens are known.
    """
    may_N, left_out = np.ones(pool.rows, dtype=bool), {}
    if job.budget.tokens is not None:
        may_N = whole(pool, "tokens").is_valid().to_numpy(zero_copy_only=False)
        left_out[UNCOUNTED] = int(np.count_nonzero(~may_N))
    kept = np.flatnonzero(may_N)
    if job.distinct:
        contents = whole(pool, "content").to_numpy()[kept]
        first = np.sort(np.unique(contents, return_index=True)[1])
        left_out[EQUAL_CONTENT] = len(kept) - len(first)
        kept = kept[first]
    return (kept if left_out else None), {reason: rows for reason, rows in left_out.items() if rows}


def _beside(pool: StoredPool, choice: Choice, reads: Sequence[str]) -> dict[str, pa.Array]:
    """Give the scores of the picks, and what the selector read or made of them, where that is numbers."""
    scores = np.full(len(choice.positions), np.nan) if choice.scores is None else choice.scores
    columns = {"score": pa.array(scores, pa.float64(), from_pandas=True)}
    made = {name: pa.array(values_N[choice.positions]) for name, values_N in choice.notes.pop("columns", {}).items()}
    return columns | _numbers(pool, choice.positions, reads) | made


def _numbers(pool: StoredPool, positions: np.ndarray, reads: Sequence[str]) -> dict[str, pa.Array]:
    """Give the columns of numbers among some, at some positions."""
    first = next(pool.columns(*reads), None) if reads else None
    names = [name for name in reads if first is not None and _is_number(first[name].type)]
    if not names:
        return {}
    order = np.argsort(positions, kind="stable")
    begin, parts = 0, []
    for table in pool.columns(*names):
        first, last = np.searchsorted(positions[order], [begin, begin + len(table)])
        parts.append(table.take(pa.array(positions[order][first:last] - begin)))
        begin += len(table)
    back = pa.array(np.argsort(order, kind="stable"))
    return {name: pa.concat_tables(parts)[name].combine_chunks().take(back) for name in names}


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)
