"""Pack documents into rows of tokens of one length, as training reads them: read -> encode -> pack -> write.

The unit of work is a group of splits: rows go on from one document to the next through the group, so that small files make no
padding. A group is committed when all of it is packed.
"""

import json
import time
from contextlib import closing
from dataclasses import asdict, dataclass, field

import pyarrow as pa

from cluster.session import ClusterConfig
from operators.encode import Encode, vocabulary_of
from operators.errors import BadRequest
from operators.pack import PackConfig
from operators.packed import Packing
from operators.storage.base import InputConfig, Split
from operators.storage.filesystem import StorageConfig
from operators.storage.listing import split_input
from operators.storage.reading import read_documents
from operators.table import living
from operators.tokenizer import contents_digest, tokenizer_files
from pipelines.counts import Counts
from pipelines.inputs import bytes_of, input_files, versions
from pipelines.isolation import FaultConfig, Isolation
from pipelines.ledger import Ledger
from pipelines.models import absolute
from pipelines.order import Spans
from pipelines.pipeline import Output, Pipeline, described, output_place
from pipelines.progress import Report, clock
from pipelines.records import State
from pipelines.telling import card, show, words_of

TOKENIZER = "tokenizer"  # folder of the artifact with the tokenizer's files, for the models that will be trained on it
GROUP_BYTES = 16 * 2**20  # of input files that are packed together, about
COLUMNS = (
    "Arrow files, which can be memory-mapped. Columns: `id`, `tokens`, `starts` (where a document begins), `targets` (false "
    "for padding and prompts). The schema's metadata says window, tokenizer and context policy."
)


@dataclass
class PackJob:
    """Everything `gristmill run pack` can be told."""

    input: InputConfig = field(default_factory=InputConfig)
    pack: PackConfig = field(default_factory=PackConfig)
    output: Output = field(default_factory=Output)
    faults: FaultConfig = field(default_factory=FaultConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    cluster: ClusterConfig = field(default_factory=ClusterConfig)


class PackDocuments(Pipeline):
    """Raises BadRequest for what cannot work, before anything is spent."""

    def __init__(self, job: PackJob):
        self.job, self.cluster = job, job.cluster
        self.place = output_place(job.output.path, job.storage, "runs/packed")
        if job.pack.tokenizer:
            job.pack.tokenizer = absolute(job.pack.tokenizer)
        encode = Encode(job.pack)
        self.packing = packing_for(job.pack, encode)
        files = input_files(job.input, job.storage, self.place)
        self.place.check_writable()
        self.splits = split_input(files, job.input)
        require_prompts(job, self.splits[0])
        contents = {"packing": asdict(self.packing), "end and beginning": [encode.eos, encode.bos]}
        self.run = described(
            "pack", job, contents, versions(files), [split.key for split in self.splits], all_at_once=True
        )

    def left(self, state: State) -> list[list[Split]]:
        groups = grouped(self.splits, self.job.input.limit)
        return [group for group in groups if not all(state.done.get(split.key, Spans()).complete for split in group)]

    def of_all(self, work: list[list[Split]]) -> Counts:
        return {"read": {"of_bytes": sum(map(bytes_of, work))}}

    def stream(self, work: list[list[Split]], ledger: Ledger, report: Report) -> None:
        for name, path in tokenizer_files(self.job.pack.tokenizer).items():
            ledger.place.publish(f"{TOKENIZER}/{name}", path.read_bytes())
        pack(self.job, self.packing, work, ledger, report)

    def pace(self) -> "PackPace":
        return PackPace()

    @staticmethod
    def card(run: dict, counts: Counts, title: str) -> str:
        what = "Documents as rows of tokens of one length, made with `gristmill run pack`."
        return card("pack", title, what, facts(run, counts), COLUMNS, "data/*.arrow")

    @staticmethod
    def show(run: dict, counts: Counts, title: str | None) -> None:
        show(title, facts(run, counts))


def require_prompts(job: PackJob, split: Split) -> None:
    """Raise BadRequest where the first documents lack a column that is to stand before the text."""
    if not job.pack.prompt_columns:
        return
    with closing(read_documents(split, job.input, job.storage)) as pieces:
        documents = next(pieces).documents
    rows = [
        json.loads(other or "{}") for other in documents.filter(pa.array(living(documents)))["metadata"].to_pylist()
    ]
    for column in job.pack.prompt_columns:
        if rows and not any(column in row for row in rows):
            there = ", ".join(dict.fromkeys(name for row in rows for name in row))
            raise BadRequest(
                f"no column {column!r} (pack.prompt_columns) in {split.file.url}. There are: {there or 'none'}."
            )


def packing_for(config: PackConfig, encode: Encode) -> Packing:
    """Give what all rows will share."""
    digest, vocabulary = contents_digest(encode.tokenizer), vocabulary_of(encode.tokenizer)
    return Packing(config.window, config.cross_document, digest, vocabulary, encode.eos)


def grouped(splits: list[Split], limit: int | None) -> list[list[Split]]:
    """Group consecutive splits that are packed together; with a limit all are, because they are counted in order."""
    groups: list[list[Split]] = []
    for split in splits:
        if groups and (limit is not None or bytes_of(groups[-1]) + split.end - split.begin <= GROUP_BYTES):
            groups[-1].append(split)
        else:
            groups.append([split])
    return groups


def pack(job: PackJob, packing: Packing, work: list[list[Split]], ledger: Ledger, report: Report) -> None:
    """Stream documents into packed rows: read -> encode -> pack -> write."""
    import ray.data

    from cluster.resources import cpu_share
    from pipelines.packing import PackGroups

    isolation = Isolation(report, job.faults.deadline_s)
    rows = [{"group": json.dumps([asdict(split) for split in group])} for group in work]
    groups = ray.data.from_items(rows, override_num_blocks=min(len(rows), 4096))
    task = PackGroups(job.input, job.storage, job.pack, packing, ledger, isolation)
    groups.map_batches(task.__call__, batch_size=1, batch_format="pyarrow", num_cpus=cpu_share(1)).materialize()


def facts(run: dict, counts: Counts) -> list[tuple[str, str]]:
    """Give the totals that matter, as words."""
    packing = Packing(**run["fingerprint"]["packing"])
    rows, tokens = counts.get("kept", {}).get("packed", 0), counts.get("tokens", 0)
    places = max(rows * packing.window, 1)
    context = "from one document to the next" if packing.cross_document else "of its own for each document"
    return [
        ("documents", f"{counts.get('documents', 0):,}"),
        ("tokens", f"{tokens:,}, end of documents included"),
        ("rows", f"{rows:,} of {packing.window:,} tokens, {1 - tokens / places:.2%} padding"),
        ("context", context),
        ("rejected", words_of(counts.get("rejected", {}).get("document", {}))),
    ]


@dataclass
class PackPace:
    """Shows tokens and their rate."""

    began: float = field(default_factory=time.monotonic)

    def line(self, counts: Counts) -> str:
        read, seconds = counts["read"], time.monotonic() - self.began
        share = read.get("bytes", 0) / max(read.get("of_bytes", 0), 1)
        tokens = read.get("tokens", 0)
        rows = counts.get("settled", {}).get("kept", 0)
        left = clock(seconds / share - seconds) if share else "-"
        return f"{clock(seconds)}  {tokens:,} tokens | {tokens / seconds:,.0f} tokens/s | {rows:,} rows written | ETA {left}"
