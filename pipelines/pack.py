"""Pack documents into rows of tokens of one length, as training reads them: read -> encode -> pack -> write.

The unit of work is a group of splits: rows go on from one document to the next through the group, so that small files make no
padding. A group is committed when all of it is packed.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from cluster.session import ClusterConfig
from operators.encode import Encode, EncodeConfig, vocabulary_of
from operators.pack import PackConfig, Packer
from operators.packed import PackedRows, Packing
from operators.settings import setting
from operators.storage.base import InputConfig, Split
from operators.storage.filesystem import StorageConfig
from operators.storage.listing import split_input
from operators.table import living, with_columns
from operators.tokenizer import contents_digest, tokenizer_files
from pipelines.counts import Counts, add_counts
from pipelines.inputs import bytes_of, input_files, versions
from pipelines.isolation import FaultConfig, Isolation
from pipelines.ledger import Ledger, publish_part, table_name
from pipelines.models import absolute
from pipelines.order import WHOLE, Spans
from pipelines.pieces import Pieces
from pipelines.pipeline import Pipeline, described, output_place
from pipelines.progress import Report, clock
from pipelines.records import Commit, Part, State
from pipelines.rows import REJECTED, in_form
from pipelines.sparing import TableWork
from pipelines.telling import card, show, words_of

TOKENIZER = "tokenizer"  # folder of the artifact with the tokenizer's files, for the models that will be trained on it
GROUP_BYTES = 16 * 2**20  # of input files that are packed together, about
PIECE_BYTES = 4 * 2**20  # of text that is encoded together
COLUMNS = (
    "Arrow files, which can be memory-mapped. Columns: `id`, `tokens`, `starts` (where a document begins), `targets` (false "
    "for padding and prompts). The schema's metadata says window, tokenizer and context policy."
)


@dataclass
class PackOutput:
    path: str | None = setting(None, "folder of the artifact: a local path or s3://BUCKET/PREFIX", identity=False)


@dataclass
class PackJob:
    """Everything `gristmill run pack` can be told."""

    input: InputConfig = field(default_factory=InputConfig)
    pack: PackConfig = field(default_factory=PackConfig)
    output: PackOutput = field(default_factory=PackOutput)
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

    isolation = Isolation(report, job.faults.deadline_s)
    rows = [{"group": json.dumps([asdict(split) for split in group])} for group in work]
    groups = ray.data.from_items(rows, override_num_blocks=min(len(rows), 4096))
    task = PackGroups(job, packing, ledger, isolation)
    groups.map_batches(task.__call__, batch_size=1, batch_format="pyarrow", num_cpus=cpu_share(1)).materialize()


class PackGroups:
    """Pack groups of splits, each into parts and one commit."""

    def __init__(self, job: PackJob, packing: Packing, ledger: Ledger, isolation: Isolation):
        self.job, self.packing, self.ledger, self.isolation = job, packing, ledger, isolation

    def __call__(self, rows: pa.Table) -> pa.Table:
        with self.isolation.report.explaining():
            for group in rows["group"].to_pylist():
                self._pack(json.loads(group))
        return pa.table({"groups": [len(rows)]})

    def _pack(self, group: list[dict]) -> None:
        places = [[split["file"]["name"], split["begin"], split["end"]] for split in group]
        name = blake2b(json.dumps(places).encode(), digest_size=8).hexdigest()
        if self.ledger.holds(f"{name}-0"):
            return
        if not self.ledger.current():
            raise self.ledger.lost()
        packer, parts, counts, keys = Packer(self.packing, self.job.pack.rows_per_part, name), [], {}, []
        for key, documents in self._documents(group):
            keys.append(key)
            counts = add_counts(counts, counted(documents))
            parts += [self._published(rows) for rows in _packed(packer, documents)]
            if len(left := rejected(documents)):
                parts.append(publish_part(self.ledger, table_name(self.ledger, "rejected", "parquet"), left))
        parts += [self._published(rows) for rows in packer.finish()]
        counts = add_counts(counts, {"kept": {"packed": packer.made}})
        self.ledger.commit(f"{name}-0", Commit(parts, {key: [WHOLE] for key in dict.fromkeys(keys)}, counts))
        self.isolation.report.add({"settled": {"kept": packer.made}})

    def _documents(self, group: list[dict]) -> Iterator[tuple[str, pa.Table]]:
        """Give the documents of the group's splits with their tokens."""
        pieces = Pieces(self.job.input, self.job.storage, PIECE_BYTES, self.isolation)
        config = self.job.pack
        settings = (config.tokenizer, config.eos_token, config.bos_token, tuple(config.prompt_columns))
        encoding = TableWork("encode", partial(_encoder, *settings))
        for split, _, _, piece in pieces.of({"split": split, "done": [], "redo": []} for split in group):
            documents = self.isolation.run([encoding], f"{split.key}|{piece.begin}", piece.documents)
            self.isolation.report.add({"read": {"tokens": counted(documents)["tokens"]}})
            yield split.key, documents

    def _published(self, rows: PackedRows) -> Part:
        return publish_part(self.ledger, table_name(self.ledger, "data", "arrow"), rows.table())


def _packed(packer: Packer, documents: pa.Table) -> Iterator[PackedRows]:
    """Put the living documents into rows, and yield what is full."""
    documents = documents.filter(pa.array(living(documents)))
    for tokens, prompt in zip(documents["tokens"], documents["prompt_tokens"].to_pylist(), strict=True):
        yield from packer.add(tokens.values.to_numpy(), prompt)


def rejected(documents: pa.Table) -> pa.Table:
    """Give the documents that left, as rows of rejected/."""
    left = documents.filter(pc.is_valid(documents["reason"]))
    places = zip(left["source_file"].to_pylist(), left["position"].to_pylist(), strict=True)
    return in_form(
        with_columns(left, id=pa.array([f"{file}:{position}" for file, position in places], pa.string())), REJECTED
    )


def counted(documents: pa.Table) -> Counts:
    """Count documents and their tokens, and those that left by stage and reason."""
    reasons = Counter(zip(*(documents[name].drop_null().to_pylist() for name in ("stage", "reason")), strict=True))
    tokens = pc.sum(pc.list_value_length(documents["tokens"])).as_py() or 0
    counts = {"documents": len(documents), "tokens": tokens, "rejected": {}}
    if reasons:
        counts["rejected"]["document"] = {f"{stage}/{reason}": number for (stage, reason), number in reasons.items()}
    return counts


@lru_cache(maxsize=2)
def _encoder(*settings: Any) -> Encode:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # Ray gives each task a core; tokenizers would take all
    return Encode(EncodeConfig(*settings[:-1], list(settings[-1])))


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
