"""The tasks of `pack`: groups of splits become parts of packed rows, each group with one commit."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from functools import lru_cache, partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from operators.examples.base import ExampleConfig
from operators.storage.base import Split
from operators.storage.config import StorageConfig
from operators.table import living, reject
from operators.text.tokenizer import contents_digest
from operators.tokens.encode_documents import Encode, EncodeConfig, vocabulary_of
from operators.tokens.encode_examples import EncodeExamples
from operators.tokens.fit import Fitted, fitted
from operators.tokens.pack import ExamplePacker, PackConfig, Packer
from operators.tokens.rows import PackedRows, Packing
from pipelines.counts import Counts, add_counts
from pipelines.flow.board.reporter import Reporter
from pipelines.flow.faults.bisect import TableWork
from pipelines.flow.faults.isolation import Isolation
from pipelines.flow.input.groups import Groups, kinds, rejections
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.publish import publish_part, table_name
from pipelines.ledger.records import Commit, Part
from pipelines.ledger.spans import WHOLE
from pipelines.pack.job import PackJob
from pipelines.stock.models import local_tokenizer

STAGE, TOO_LONG, NO_TARGET = "pack", "too_long", "no_target"


class PackGroups(Groups):
    """Pack groups of splits, each into parts and one commit."""

    def __init__(self, *work, config: PackConfig, examples: ExampleConfig, packing: Packing):
        super().__init__(*work)
        self.config, self.examples, self.packing = config, examples, packing

    def settle(self, name: str, group: list[dict]) -> None:
        kind = ExamplePacker if self.config.template else Packer
        packer, parts, counts, keys = kind(self.packing, self.config.rows_per_part, name), [], {}, {}
        for key, documents in self._documents(group):
            keys[key] = [WHOLE]
            fit = self._fitted(documents)
            parts += [self._published(rows) for rows in _packed(packer, fit)]
            documents = reject(documents, STAGE, _refused(fit, self.packing.window))
            counts = add_counts(counts, counted(documents), _longer(fit))
            parts += self.published_rejected(documents)
        parts += [self._published(rows) for rows in packer.finish()]
        counts = add_counts(counts, {"kept": {"packed": packer.made}, "tokens": packer.packed})
        self.ledger.commit(f"{name}-0", Commit(parts, keys, counts))
        self.isolation.report.add({"settled": {"kept": packer.made}})

    def _fitted(self, documents: pa.Table) -> dict[int, Fitted]:
        """Give what is packed of each living document, by its row in the table; documents that are no examples fit always."""
        fit, alive = {}, living(documents)
        for row in np.flatnonzero(alive).tolist():
            tokens, targets = documents["tokens"][row].values.to_numpy(), documents["targets"][row]
            if not self.config.template:
                fit[row] = Fitted([(tokens, None)])
                continue
            learned = targets.values.to_numpy(zero_copy_only=False)
            fit[row] = fitted(tokens, learned, self.packing.window, self.config.too_long)
        return fit

    def _documents(self, group: list[dict]) -> Iterator[tuple[str, pa.Table]]:
        """Give the documents of the group's splits with their tokens."""
        encoding = TableWork("encode", partial(_encoder, self._settings()))
        for split, _, _, piece in self.pieces(group):
            documents = self.isolation.run([encoding], f"{split.key}|{piece.begin}", piece.documents)
            tokens = pc.sum(pc.list_value_length(documents["tokens"])).as_py() or 0
            self.isolation.report.add({"read": {"tokens": tokens}})
            yield split.key, documents

    def _settings(self) -> str:
        encoding = {field.name: getattr(self.config, field.name) for field in fields(EncodeConfig)}
        return json.dumps([encoding, asdict(self.examples), asdict(self.storage)])

    def _published(self, rows: PackedRows) -> Part:
        return publish_part(self.ledger, table_name(self.ledger, "data", "arrow"), rows.table())


def _packed(packer: Packer | ExamplePacker, fit: dict[int, Fitted]) -> Iterator[PackedRows]:
    """Put documents into rows, and yield what is full."""
    for document in fit.values():
        for tokens, targets in document.pieces:
            yield from packer.add(tokens, targets)


def _refused(fit: dict[int, Fitted], window: int) -> dict[int, tuple[str, str]]:
    """Give why nothing is packed of some documents."""
    why = {
        "dropped": (TOO_LONG, f"it has more than {window} tokens, and pack.too_long=drop"),
        "no_target": (NO_TARGET, f"of its first {window} tokens, which a row holds, none is of an answer"),
    }
    return {row: why[document.outcome] for row, document in fit.items() if not document.pieces}


def _longer(fit: dict[int, Fitted]) -> Counts:
    """Count the examples that are longer than a row, by what became of them."""
    outcomes = Counter(document.outcome for document in fit.values() if document.outcome)
    return {"longer": dict(outcomes)} if outcomes else {}


def counted(documents: pa.Table) -> Counts:
    """Count documents, those that left by stage and reason, and what of their records had no place."""
    counts = {"documents": len(documents)} | rejections(documents)
    return counts | kinds(documents, "unplaced") | kinds(documents, "unused")


def encoder(config: EncodeConfig, examples: ExampleConfig, storage: StorageConfig) -> Encode | EncodeExamples:
    """Make what encodes documents: records framed by a template where there is one, else texts."""
    if config.tokenizer:
        config = replace(config, tokenizer=local_tokenizer(config.tokenizer, storage))
    return EncodeExamples(config, examples) if config.template else Encode(config)


@lru_cache(maxsize=2)
def _encoder(settings: str) -> Encode | EncodeExamples:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # Ray gives each task a core; tokenizers would take all
    encoding, examples, storage = json.loads(settings)
    return encoder(EncodeConfig(**encoding), ExampleConfig(**examples), StorageConfig(**storage))


def packing_for(config: PackConfig, encode: Encode | EncodeExamples) -> Packing:
    """Give what all rows will share."""
    digest, vocabulary = contents_digest(encode.tokenizer), vocabulary_of(encode.tokenizer)
    return Packing(config.window, config.cross_document, digest, vocabulary, encode.eos)


def pack(job: PackJob, packing: Packing, work: list[list[Split]], ledger: Ledger, report: Reporter) -> None:
    """Stream documents into packed rows: read -> encode -> pack -> write."""
    import ray.data

    from cluster.resources import cpu_share

    rows = [{"group": json.dumps([asdict(split) for split in group])} for group in work]
    groups = ray.data.from_items(rows, override_num_blocks=min(len(rows), 4096))
    work = (job.input, job.storage, job.extract, ledger, Isolation(report, job.faults.deadline_s))
    task = PackGroups(*work, config=job.pack, examples=job.examples, packing=packing)
    groups.map_batches(task.__call__, batch_size=1, batch_format="pyarrow", num_cpus=cpu_share(1)).materialize()
