"""The tasks of `pack`: groups of splits become parts of packed rows, each group with one commit."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from operators.encode import Encode, EncodeConfig
from operators.pack import PackConfig, Packer
from operators.packed import PackedRows, Packing
from operators.storage.base import InputConfig
from operators.storage.filesystem import StorageConfig
from operators.table import living, with_columns
from pipelines.counts import Counts, add_counts
from pipelines.isolation import Isolation
from pipelines.ledger import Ledger, publish_part, table_name
from pipelines.order import WHOLE
from pipelines.pieces import Pieces
from pipelines.records import Commit, Part
from pipelines.rows import REJECTED, in_form
from pipelines.sparing import TableWork

PIECE_BYTES = 4 * 2**20  # of text that is encoded together


class PackGroups:
    """Pack groups of splits, each into parts and one commit."""

    def __init__(
        self,
        input: InputConfig,
        storage: StorageConfig,
        config: PackConfig,
        packing: Packing,
        ledger: Ledger,
        isolation: Isolation,
    ):
        self.input, self.storage, self.config, self.packing = input, storage, config, packing
        self.ledger, self.isolation = ledger, isolation

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
        packer, parts, counts, keys = Packer(self.packing, self.config.rows_per_part, name), [], {}, []
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
        pieces = Pieces(self.input, self.storage, PIECE_BYTES, self.isolation)
        config = self.config
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
