"""Rephrase web documents in several styles and mix the rewrites with the real text.

Source: WRAP, arXiv:2401.16380; successors' prompts and filters by the files under operators/prompts and operators/clean.
"""

from collections.abc import Callable, Iterator
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
from operators.storage.filesystem import StorageConfig
from pipelines.isolation import CommitConfig, FaultConfig, Isolation, order_key
from pipelines.ledger import Ledger
from pipelines.order import REQUESTS, cut, from_block
from pipelines.pipeline import Output
from pipelines.progress import Report
from pipelines.sparing import TableWork


@dataclass
class RephraseOutput(Output):
    rows_per_part: int = setting(
        1024, "rows of a part, at the most about; commit.max_uncommitted_requests may make it less", identity=False
    )


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
    output: RephraseOutput = field(default_factory=RephraseOutput)
    commit: CommitConfig = field(default_factory=CommitConfig)
    faults: FaultConfig = field(default_factory=FaultConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)

    @property
    def whole_documents(self) -> bool:
        """Whether all chunks of a document must stay together."""
        return self.stitch or self.carry_context

    @property
    def requests_per_order(self) -> int:
        """Requests that are committed or lost together at the least."""
        return max(1, min(REQUESTS, self.commit.max_uncommitted_requests // 4))

    @property
    def orders_per_part(self) -> int:
        """Orders that are committed together: few enough that an engine never waits for its own orders to be committed."""
        if self.whole_documents:  # of any size
            return 1
        requests = min(self.output.rows_per_part, self.commit.max_uncommitted_requests // 4)
        return max(1, requests // (self.requests_per_order + len(self.styles)))


# The settings that decide where the units of work begin and end.
CUTS = ("input.", "chunk.", "stitch", "carry_context", "mix.real")


def refine(
    block: pa.Table, job: RephraseJob, isolation: Isolation, operators: Callable[[RephraseJob], dict] | None = None
) -> Iterator[pa.Table]:
    """Do what is done to rewrites once they are there: clean -> faithful -> stitch -> mix."""
    operators = operators or refinements
    works = [
        TableWork(stage, partial(_operator, operators, job, stage), stage in BY_DOCUMENT) for stage in operators(job)
    ]
    for order in from_block(block):
        yield order.with_rows(isolation.run(works, order_key(order), order.rows)).to_block()


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


STAGES = 4  # that run at the same time: read, rephrase, refine and write, and one to spare


def load_stages(job: RephraseJob) -> None:
    """Load what the stages' processes need: the first orders would wait for it, and with them all that may be uncommitted."""
    import pipelines.engines
    import pipelines.reading
    import pipelines.writer  # noqa: F401

    refinements(job)


def rephrase(job: RephraseJob, work: list[dict], ledger: Ledger, report: Report) -> None:
    """Stream documents through the mill: read, chunk, fan out -> rephrase -> clean, check, stitch, mix -> write."""
    import ray.data

    from cluster.resources import cpu_share
    from pipelines.engines import on_engines
    from pipelines.reading import ReadOrders
    from pipelines.writer import ArtifactSink

    share = cpu_share(STAGES)
    stage = {"batch_size": None, "batch_format": "pyarrow", "zero_copy_batch": True, "num_cpus": share}
    shortest = {prompt.name: prompt.min_source_tokens for prompt in map(load_prompt, job.styles)}
    isolation = Isolation(report, job.faults.deadline_s)
    fan_out = FanOut(shortest, job.mix.real > 0)
    orders_of = partial(cut, whole_documents=job.whole_documents, requests_per_order=job.requests_per_order)
    read = ReadOrders(job.input, job.storage, job.chunk, fan_out, orders_of, isolation)

    splits = ray.data.from_items(work, override_num_blocks=min(len(work), 4096))
    splits.context.target_max_block_size = 1  # one order, one block (see pipelines.order)
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
