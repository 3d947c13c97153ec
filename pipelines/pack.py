"""Pack documents into rows of tokens of one length, as training reads them: read -> encode -> pack -> write.

The unit of work is a group of splits: rows go on from one document to the next through the group, so that small files make no
padding. A group is committed when all of it is packed.
"""

import json
import time
from dataclasses import asdict, dataclass, field

from cluster.session import ClusterConfig
from operators.encode import Encode, vocabulary_of
from operators.encode_examples import EncodeExamples
from operators.errors import BadRequest
from operators.examples import ExampleConfig
from operators.pack import PackConfig
from operators.packed import Packing
from operators.storage.base import InputConfig, Split
from operators.storage.filesystem import StorageConfig
from operators.storage.listing import split_input
from operators.tokenizer import contents_digest, tokenizer_files
from pipelines.counts import Counts
from pipelines.groups import grouped, require_examples
from pipelines.inputs import bytes_of, input_files, versions
from pipelines.isolation import FaultConfig, Isolation
from pipelines.ledger import Ledger
from pipelines.models import address_of, local_tokenizer
from pipelines.order import Spans
from pipelines.packing import PackGroups, encoder
from pipelines.pipeline import Output, Pipeline, described, output_place
from pipelines.progress import Report, clock
from pipelines.records import State
from pipelines.telling import card, show, words_of

TOKENIZER = "tokenizer"  # folder of the artifact with the tokenizer's files, for the models that will be trained on it
COLUMNS = (
    "Arrow files, which can be memory-mapped. Columns: `id`, `tokens`, `starts` (where a document begins), `targets` (false "
    "for padding and prompts). The schema's metadata says window, tokenizer and context policy."
)


@dataclass
class PackJob:
    """Everything `gristmill run pack` can be told."""

    input: InputConfig = field(default_factory=InputConfig)
    pack: PackConfig = field(default_factory=PackConfig)
    examples: ExampleConfig = field(default_factory=ExampleConfig)
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
            job.pack.tokenizer = address_of(job.pack.tokenizer, job.storage)
        require_form(job)
        encode = encoder(job.pack, job.examples, job.storage)
        self.packing = packing_for(job.pack, encode)
        files = input_files(job.input, job.storage, self.place)
        self.place.check_writable()
        self.splits = split_input(files, job.input)
        if job.pack.template:
            require_examples(self.splits, job.input, job.storage, encode)
        contents = {"packing": asdict(self.packing), "pack.tokenizer": encode.deciding}
        self.run = described(
            "pack", job, contents, versions(files), [split.key for split in self.splits], all_at_once=True
        )

    def left(self, state: State) -> list[list[Split]]:
        groups = grouped(self.splits, self.job.input.limit)
        return [group for group in groups if not all(state.done.get(split.key, Spans()).complete for split in group)]

    def of_all(self, work: list[list[Split]]) -> Counts:
        return {"read": {"of_bytes": sum(map(bytes_of, work))}}

    def stream(self, work: list[list[Split]], ledger: Ledger, report: Report) -> None:
        for name, path in tokenizer_files(local_tokenizer(self.job.pack.tokenizer, self.job.storage)).items():
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


def require_form(job: PackJob) -> None:
    """Raise BadRequest where records are to be read as texts, or texts as records."""
    template, column = job.pack.template, job.input.text_column
    if template and column is not None:
        raise BadRequest(
            f"pack.template={template} frames whole records, and input.text_column={column} reads a column of them. "
            "Set input.text_column=null; `examples` says which columns are question and answer."
        )
    if column is None and not template:
        raise BadRequest("input.text_column=null reads whole records. Set pack.template to frame them as examples.")


def packing_for(config: PackConfig, encode: Encode | EncodeExamples) -> Packing:
    """Give what all rows will share."""
    digest, vocabulary = contents_digest(encode.tokenizer), vocabulary_of(encode.tokenizer)
    return Packing(config.window, config.cross_document, digest, vocabulary, encode.eos)


def pack(job: PackJob, packing: Packing, work: list[list[Split]], ledger: Ledger, report: Report) -> None:
    """Stream documents into packed rows: read -> encode -> pack -> write."""
    import ray.data

    from cluster.resources import cpu_share

    rows = [{"group": json.dumps([asdict(split) for split in group])} for group in work]
    groups = ray.data.from_items(rows, override_num_blocks=min(len(rows), 4096))
    work = (job.input, job.storage, ledger, Isolation(report, job.faults.deadline_s))
    task = PackGroups(*work, config=job.pack, examples=job.examples, packing=packing)
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
