"""Read records into a pool of examples, from which is selected: read -> keep examples -> write.

The pool's rows keep the records as they were. The position of a row is its number in the order of the data, over all parts.
The unit of work is a group of splits; a last one proves that no id stands in two rows.
"""

import json
import time
from dataclasses import asdict, dataclass, field

import pyarrow as pa

from cluster.session import ClusterConfig
from operators.errors import BadRequest
from operators.examples import ExampleConfig
from operators.keep_examples import KeepExamples
from operators.storage.base import InputConfig, Split
from operators.storage.filesystem import Place, StorageConfig
from operators.storage.listing import split_input
from pipelines.artifacts import contents_key, finished, load_table, parts_in_order
from pipelines.counts import Counts
from pipelines.exits import RunFailed
from pipelines.groups import grouped, require_examples
from pipelines.inputs import bytes_of, input_files, versions
from pipelines.isolation import FaultConfig, Isolation
from pipelines.ledger import Ledger
from pipelines.order import WHOLE, Spans
from pipelines.pipeline import Output, Pipeline, described, digest, output_place
from pipelines.progress import Report, clock
from pipelines.records import Commit, Part, State, read_records
from pipelines.telling import card, show, words_of
from pipelines.uniqueness import Ids, ids_of

UNIQUE = "ids:0-1"  # the last unit of work
NAMED = 3  # of ids that stand in several rows
COLUMNS = "`record` is the row as it was read (JSON), `content` a digest of what is said in it, `place` where its file has it."


@dataclass
class PoolJob:
    """What decides a pool."""

    input: InputConfig = field(default_factory=lambda: InputConfig(text_column=None))
    examples: ExampleConfig = field(default_factory=ExampleConfig)
    output: Output = field(default_factory=Output)
    faults: FaultConfig = field(default_factory=FaultConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)


class ReadPool(Pipeline):
    """Raises BadRequest for what cannot work. Without output.path the artifact stands in `folder`, named by what decides it.

    `rows` is where rows of the pool will be chosen to, which are no input.
    """

    def __init__(self, job: PoolJob, folder: str | None = None, rows: Place | None = None):
        self.job, self.cluster = job, job.cluster
        if job.input.text_column is not None:
            raise BadRequest(
                f"input.text_column={job.input.text_column}, and whole records are read here. Leave it null, and name the column "
                "with the text by examples.plain_column."
            )
        own = rows or Place(job.output.path or folder or ".", job.storage)
        files = input_files(job.input, job.storage, own, folder and Place(folder, job.storage).url)
        self.splits = split_input(files, job.input)
        require_examples(self.splits, job.input, job.storage, KeepExamples(job.examples))
        keys = [*(split.key for split in self.splits), UNIQUE]
        self.run = described("pool", job, {}, versions(files), keys, all_at_once=True)
        self.place = output_place(job.output.path or f"{folder}/pool-{digest(self.run)}", job.storage, "runs/pool")
        self.place.check_writable()

    def left(self, state: State) -> list[list[Split]]:
        """Give the groups that are left to read, and an empty one for the proof of the ids."""
        groups = [*grouped(self.splits, self.job.input.limit), []]
        return [group for group in groups if not all(state.done.get(key, Spans()).complete for key in keys_of(group))]

    def of_all(self, work: list[list[Split]]) -> Counts:
        return {"read": {"of_bytes": sum(map(bytes_of, work))}}

    def pace(self) -> "PoolPace":
        return PoolPace()

    def stream(self, work: list[list[Split]], ledger: Ledger, report: Report) -> None:
        if groups := [group for group in work if group]:
            read_pool(self.job, groups, ledger, report)
        require_unique_ids(ledger)

    @staticmethod
    def card(run: dict, counts: Counts, title: str) -> str:
        what = "A pool of examples to select from, made by `gristmill run select`."
        return card("pool", title, what, facts(run, counts), COLUMNS, "data/*.parquet")

    @staticmethod
    def show(run: dict, counts: Counts, title: str | None) -> None:
        show(title, facts(run, counts))


def keys_of(group: list[Split]) -> list[str]:
    """Name the splits that a group settles; the empty group is the proof of the ids."""
    return [split.key for split in group] or [UNIQUE]


def read_pool(job: PoolJob, work: list[list[Split]], ledger: Ledger, report: Report) -> None:
    """Stream records into the pool: read -> keep examples -> write."""
    import ray.data

    from cluster.resources import cpu_share
    from pipelines.pooling import ReadGroups

    rows = [{"group": json.dumps([asdict(split) for split in group])} for group in work]
    groups = ray.data.from_items(rows, override_num_blocks=min(len(rows), 4096))
    task = ReadGroups(job.input, job.storage, ledger, Isolation(report, job.faults.deadline_s), examples=job.examples)
    groups.map_batches(task.__call__, batch_size=1, batch_format="pyarrow", num_cpus=cpu_share(1)).materialize()


def require_unique_ids(ledger: Ledger) -> None:
    """Commit that every id stands in one row. Raises RunFailed where one stands in several."""
    records = read_records(ledger.place)
    parts = [part.name for part in parts_in_order(ledger.place, records)]
    ids = Ids(sum(part.rows for part in parts_in_order(ledger.place, records)))
    for part in parts:
        ids.take(ids_of(ledger.place.open(part), part))
    if twice := ids.twice(ledger.place, parts):
        named = ", ".join(twice[:NAMED])
        raise RunFailed(
            f"{len(twice):,} ids stand in more than one row of the input, among them {named}. What is chosen is "
            "told by ids, so each must be unique. Mend the input, or name another input.id_column."
        )
    ledger.commit("ids-0", Commit([], {UNIQUE: [WHOLE]}, {}))


@dataclass(frozen=True)
class PoolArtifact:
    """A finished pool. `parts` stand in the order of the data; `key` changes with what is in them."""

    place: Place
    parts: list[Part]
    key: str
    rejected: dict[str, int]

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    def load(self, part: Part) -> pa.Table:
        """Read a part. Raises StorageFailure where it is gone, or its bytes are not those that were written."""
        return load_table(self.place, part)


def open_pool(path: str | None, storage: StorageConfig, setting: str) -> PoolArtifact:
    """Open a pool. Raises BadRequest where it is something else, empty, or not finished."""
    place, records = finished(path, storage, setting, "pool")
    parts = parts_in_order(place, records)
    rejected = records.now().counts.get("rejected", {}).get("document", {})
    if not parts:
        raise BadRequest(f"{setting}: no row of the input is an example. Rejected: {words_of(rejected)}.")
    return PoolArtifact(place, parts, contents_key(parts), rejected)


def facts(run: dict, counts: Counts) -> list[tuple[str, str]]:
    """Give the totals that matter, as words."""
    return [
        ("examples", f"{counts.get('kept', {}).get('examples', 0):,}"),
        ("rejected", words_of(counts.get("rejected", {}).get("document", {}))),
    ]


@dataclass
class PoolPace:
    """Shows rows and how much of the input is read."""

    began: float = field(default_factory=time.monotonic)

    def line(self, counts: Counts) -> str:
        read, seconds = counts["read"], time.monotonic() - self.began
        share = read.get("bytes", 0) / max(read.get("of_bytes", 0), 1)
        rows = counts.get("settled", {}).get("kept", 0)
        left = clock(seconds / share - seconds) if share else "-"
        return f"{clock(seconds)}  {share:.0%} read | {rows:,} examples | ETA {left}"
