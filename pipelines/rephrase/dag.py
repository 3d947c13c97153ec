"""Rephrase web documents in several styles and mix the rewrites with the real text.

Source: WRAP, arXiv:2401.16380; successors' prompts and filters by the files under operators/rewrite/{prompts,rules}.
"""

from collections.abc import Callable
from functools import partial

import pyarrow as pa

from operators.models.engines.base import Engine
from operators.rewrite.clean import Clean
from operators.rewrite.faithful import Faithful
from operators.rewrite.fan_out import FanOut
from operators.rewrite.mix import Mix
from operators.rewrite.prompts import Prompt, load_prompt
from operators.rewrite.rephrase import Rephrase, end_of
from operators.rewrite.stitch import Stitch
from operators.text.chunk import ChunkConfig
from pipelines.flow.board.reporter import Reporter
from pipelines.flow.engines.asking import Asking
from pipelines.flow.engines.chained import Chained
from pipelines.flow.faults.bisect import TableWork
from pipelines.flow.faults.config import CALLS
from pipelines.flow.faults.isolation import Isolation
from pipelines.flow.input.chunks import chunker
from pipelines.flow.orders.order import cut
from pipelines.flow.stream.dag import stream_orders
from pipelines.flow.stream.read import ReadOrders
from pipelines.flow.stream.refine import Refine
from pipelines.ledger.ledger import Ledger
from pipelines.rephrase.job import RephraseJob
from pipelines.rephrase.rows import REASONS, STAGE, form


def rephrase(job: RephraseJob, work: list[dict], ledger: Ledger, report: Reporter) -> None:
    """Stream documents through the mill: read, chunk, fan out -> rephrase -> clean, check, stitch, mix -> write."""
    from pipelines.flow.orders.writer import ArtifactSink

    rows, isolation = form(job.stitch), Isolation(report, job.faults.deadline_s)
    prompts = _prompts(job)
    fan_out = FanOut({name: prompt.min_source_tokens for name, prompt in prompts.items()}, real=job.mix.real > 0)
    chained = (
        Chained(ledger.place, rows.units.kind, list(prompts), partial(passed_on, job)) if job.in_stretches else None
    )
    read = ReadOrders(
        *(job.input, job.storage, job.extract),
        piece_tokens=CALLS * job.chunk.max_tokens // len(job.styles),
        fan_out=TableWork("chunk", partial(requests, job.chunk, fan_out)),
        cut=partial(cut, calls_per_order=job.commit.calls_per_order, whole_documents=job.whole_documents),
        calls=Rephrase.calls,
        units=rows.units,
        isolation=isolation,
    )
    asking = Asking(STAGE, partial(rephraser, job), job.engine, job.commit, job.faults, chained)
    refine = Refine(partial(refinements, job), BY_DOCUMENT, rows.units, REASONS, isolation)
    stream_orders(work, read, asking, refine, ArtifactSink(ledger, rows, job.orders_per_part, report), report)


def requests(config: ChunkConfig, fan_out: FanOut) -> Callable[[pa.Table], pa.Table]:
    """Give what makes requests of documents: chunk -> fan out."""
    chunk = chunker(config)
    return lambda documents: fan_out(documents, chunk(documents))


def rephraser(job: RephraseJob, engine: Engine) -> Rephrase:
    """Give the operator beside an engine. A rewrite is shown to the next chunk as `clean` will leave it."""
    return Rephrase(job, engine, Clean(job.clean, _prompts(job)).mended)


def passed_on(job: RephraseJob, row: dict) -> str | None:
    """Give what a rewrite that is committed passes on to the next chunk (see Rephrase.passed_on)."""
    return end_of(row["text"], job.context_tokens)


BY_DOCUMENT = ("stitch", "mix")  # operators that need the rows of a document together
# Built once in each worker process: an encoder takes seconds to load.
_BUILT: dict[str, dict] = {}


def refinements(job: RephraseJob) -> dict[str, Callable[[pa.Table], pa.Table]]:
    """Give what is done to rewrites once they are there, by the names of the stages: clean -> faithful -> stitch -> mix."""
    key = repr((job.styles, job.clean, job.faithful, job.stitch, job.mix))
    if key not in _BUILT:
        stitch = {"stitch": Stitch()} if job.stitch else {}
        _BUILT.clear()
        _BUILT[key] = {
            "clean": Clean(job.clean, _prompts(job)),
            "faithful": Faithful(job.faithful),
            **stitch,
            "mix": Mix(job.mix, len(job.styles)),
        }
    return _BUILT[key]


def _prompts(job: RephraseJob) -> dict[str, Prompt]:
    return {prompt.name: prompt for prompt in map(load_prompt, job.styles)}
