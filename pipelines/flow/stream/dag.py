"""Orders through Ray Data: read -> ask -> refine -> write, each a stage that runs beside the others."""

from functools import partial

from pipelines.flow.board.reporter import Reporter
from pipelines.flow.engines.asking import Asking
from pipelines.flow.stream.read import ReadOrders
from pipelines.flow.stream.refine import Refine

STAGES = 4  # that run at the same time: read, ask, refine and write, and one to spare


def stream_orders(work: list[dict], read: ReadOrders, asking: Asking, refine: Refine, write, report: Reporter) -> None:
    """Stream what is left of an input (see split_rows) through a pipeline. `write` is its ArtifactSink."""
    import ray.data

    from cluster.resources import cpu_share
    from cluster.workers import warm
    from pipelines.flow.engines.pool import on_engines

    if asking.stage not in refine.reasons.asking:  # its failures would be told as a rule's, and never be done again
        raise ValueError(f"the stage {asking.stage!r} asks a model, and Reasons.asking names {refine.reasons.asking}")
    work = asking.chained.added_to(work) if asking.chained else work
    warm(partial(_load, refine), STAGES - 1)  # engines have processes of their own
    share = cpu_share(STAGES)
    stage = {"batch_size": None, "batch_format": "pyarrow", "zero_copy_batch": True, "num_cpus": share}
    splits = ray.data.from_items(work, override_num_blocks=min(len(work), 4096))
    splits.context.target_max_block_size = 1  # one order, one block (see pipelines.flow.orders.order)
    # Blocks that a reader may be ahead of the driver. Ray's 2 suit blocks of 128 MiB; the driver takes them once a round.
    splits.context._max_num_blocks_in_streaming_gen_buffer = 64
    # Ray would start a thread for each order in an engine's actor, for a figure that nobody reads.
    splits.context.memory_usage_poll_interval_s = None
    orders = splits.map_batches(read.__call__, **stage)
    answered = on_engines(orders, asking, share, report)
    rows = answered.map_batches(refine.__call__, **stage)
    # The same resources as the stage before it: so Ray runs both in one task, which costs half.
    rows.write_datasink(write, ray_remote_args={"num_cpus": share})


def _load(refine: Refine) -> None:
    """Load what the stages' processes need: the first orders would wait for it, and with them all that may be uncommitted."""
    import pipelines.flow.engines.actor
    import pipelines.flow.orders.writer  # noqa: F401

    refine.operators()
