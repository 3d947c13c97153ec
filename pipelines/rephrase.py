"""Rephrase web documents in several styles and mix the rewrites with the real text.

Source: WRAP, arXiv:2401.16380; successors' prompts and filters by the files under operators/prompts and operators/clean.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from cluster.session import ClusterConfig
from operators.chunk import ChunkConfig
from operators.clean import Clean, CleanConfig
from operators.engines import EngineConfig
from operators.faithful import Faithful, FaithfulConfig
from operators.fan_out import FanOut
from operators.mix import Mix, MixConfig
from operators.prompts import load_prompt
from operators.rephrase import Rephrase, RephraseConfig
from operators.settings import setting
from operators.stitch import Stitch
from operators.storage.base import InputConfig
from operators.storage.filesystem import Place, StorageConfig
from pipelines.order import REQUESTS, from_block
from pipelines.progress import Report


@dataclass
class OutputConfig:
    """Where the artifact goes."""

    path: str | None = setting(None, "folder of the artifact: a local path or s3://BUCKET/PREFIX", identity=False)
    rows_per_part: int = setting(1024, "rows committed together, in steps of about 128 requests", identity=False)


@dataclass
class RephraseJob(RephraseConfig):
    """Everything `gristmill run rephrase` can be told."""

    stitch: bool = setting(False, "join the rewrites of a document's chunks into one row per style")
    input: InputConfig = field(default_factory=InputConfig)
    chunk: ChunkConfig = field(default_factory=ChunkConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    clean: CleanConfig = field(default_factory=CleanConfig)
    faithful: FaithfulConfig = field(default_factory=FaithfulConfig)
    mix: MixConfig = field(default_factory=MixConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)

    @property
    def whole_documents(self) -> bool:
        """Whether all chunks of a document must stay together."""
        return self.stitch or self.carry_context


# Operators of `refine`, built once in each worker process: an encoder takes seconds to load.
_BUILT: dict[str, list] = {}


def refine(block: pa.Table, job: RephraseJob) -> Iterator[pa.Table]:
    """Do what is done to rewrites once they are there: clean -> faithful -> stitch -> mix."""
    for order in from_block(block):
        rows = order.rows
        for operator in _refinements(job):
            rows = operator(rows)
        yield order.with_rows(rows).to_block()


def _refinements(job: RephraseJob) -> list:
    key = repr((job.styles, job.clean, job.faithful, job.stitch, job.mix))
    if key not in _BUILT:
        prompts = {prompt.name: prompt for prompt in map(load_prompt, job.styles)}
        stitch = [Stitch()] if job.stitch else []
        _BUILT.clear()
        _BUILT[key] = [Clean(job.clean, prompts), Faithful(job.faithful), *stitch, Mix(job.mix)]
    return _BUILT[key]


STAGES = 4  # that run at the same time: read, rephrase, refine and write, and one to spare


def load_stages() -> None:
    """Import what the stages' processes need."""
    import pipelines.engines
    import pipelines.reading
    import pipelines.writer  # noqa: F401


def rephrase(job: RephraseJob, work: list[dict], place: Place, report: Report) -> None:
    """Stream documents through the mill: read, chunk, fan out -> rephrase -> clean, check, stitch, mix -> write."""
    import ray.data

    from cluster.resources import cpu_share
    from pipelines.engines import on_engines
    from pipelines.reading import ReadOrders
    from pipelines.writer import ArtifactSink

    share = cpu_share(STAGES)
    stage = {"batch_size": None, "batch_format": "pyarrow", "zero_copy_batch": True, "num_cpus": share}
    shortest = {prompt.name: prompt.min_source_tokens for prompt in map(load_prompt, job.styles)}
    read = ReadOrders(
        job.input, job.storage, job.chunk, FanOut(shortest, job.mix.real > 0), job.whole_documents, report
    )

    splits = ray.data.from_items(work, override_num_blocks=min(len(work), 4096))
    splits.context.target_max_block_size = 1  # one order, one block (see pipelines.order)
    # Blocks that a reader may be ahead of the driver. Ray's 2 suit blocks of 128 MiB; the driver takes them once a round.
    splits.context._max_num_blocks_in_streaming_gen_buffer = 64
    # Ray would start a thread for each order in an engine's actor, for a figure that nobody reads.
    splits.context.memory_usage_poll_interval_s = None
    orders = splits.map_batches(read.__call__, **stage)
    rewrites = on_engines(orders, partial(Rephrase, job), job.engine, share, report)
    rows = rewrites.map_batches(refine, fn_kwargs={"job": job}, **stage)
    # The same resources as the stage before it: so Ray runs both in one task, which costs half.
    sink = ArtifactSink(place, max(1, job.output.rows_per_part // REQUESTS), report)
    rows.write_datasink(sink, ray_remote_args={"num_cpus": share})
