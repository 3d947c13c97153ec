"""Rephrase web documents in several styles and mix the rewrites with the real text.

Source: WRAP, arXiv:2401.16380; successors' prompts and filters by the files under operators/rewrite/{prompts,rules}.
"""

from functools import partial

from operators.rewrite.fan_out import FanOut
from operators.rewrite.prompts import load_prompt
from operators.rewrite.rephrase import Rephrase
from pipelines.flow.board.reporter import Reporter
from pipelines.flow.faults.isolation import Isolation
from pipelines.flow.orders.order import cut
from pipelines.ledger.ledger import Ledger
from pipelines.rephrase.job import RephraseJob
from pipelines.rephrase.refine import refine, refinements

STAGES = 4  # that run at the same time: read, rephrase, refine and write, and one to spare


def load_stages(job: RephraseJob) -> None:
    """Load what the stages' processes need: the first orders would wait for it, and with them all that may be uncommitted."""
    import pipelines.flow.engines.actor
    import pipelines.flow.orders.writer
    import pipelines.rephrase.read  # noqa: F401

    refinements(job)


def rephrase(job: RephraseJob, work: list[dict], ledger: Ledger, report: Reporter) -> None:
    """Stream documents through the mill: read, chunk, fan out -> rephrase -> clean, check, stitch, mix -> write."""
    import ray.data

    from cluster.resources import cpu_share
    from pipelines.flow.engines.pool import on_engines
    from pipelines.flow.orders.writer import ArtifactSink
    from pipelines.rephrase.read import ReadOrders

    share = cpu_share(STAGES)
    stage = {"batch_size": None, "batch_format": "pyarrow", "zero_copy_batch": True, "num_cpus": share}
    shortest = {prompt.name: prompt.min_source_tokens for prompt in map(load_prompt, job.styles)}
    isolation = Isolation(report, job.faults.deadline_s)
    fan_out = FanOut(shortest, job.mix.real > 0)
    orders_of = partial(cut, whole_documents=job.whole_documents, requests_per_order=job.requests_per_order)
    read = ReadOrders(job.input, job.storage, job.extract, job.chunk, fan_out, orders_of, isolation)

    splits = ray.data.from_items(work, override_num_blocks=min(len(work), 4096))
    splits.context.target_max_block_size = 1  # one order, one block (see pipelines.flow.orders.order)
    # Blocks that a reader may be ahead of the driver. Ray's 2 suit blocks of 128 MiB; the driver takes them once a round.
    splits.context._max_num_blocks_in_streaming_gen_buffer = 64
    # Ray would start a thread for each order in an engine's actor, for a figure that nobody reads.
    splits.context.memory_usage_poll_interval_s = None
    orders = splits.map_batches(read.__call__, **stage)
    rewrites = on_engines(orders, partial(Rephrase, job), job.engine, share, report, job.commit, job.faults)
    rows = rewrites.map_batches(refine, fn_kwargs={"job": job, "isolation": isolation}, **stage)
    # The same resources as the stage before it: so Ray runs both in one task, which costs half.
    sink = ArtifactSink(ledger, job.orders_per_part, report)
    rows.write_datasink(sink, ray_remote_args={"num_cpus": share})
