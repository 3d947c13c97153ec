"""Writing the files of an artifact; they count once a commit names them."""

import io
import uuid
from collections.abc import Iterable
from hashlib import blake2b

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from pipelines.ledger.layout import CATALOGUE
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.records import Commit, Part


def publish_part(ledger: Ledger, name: str, table: pa.Table) -> Part:
    """Write a table as a part: parquet, or Arrow's own file where the name ends so. It counts once a commit names it."""
    buffer = io.BytesIO()
    if name.endswith(".arrow"):
        with pa.ipc.new_file(buffer, table.schema) as writer:
            writer.write_table(table)
    else:
        pq.write_table(table, buffer, compression="zstd")
    return publish_file(ledger, name, buffer.getvalue(), len(table))


def publish_file(ledger: Ledger, name: str, data: bytes, rows: int = 0) -> Part:
    """Write a part of any content. It counts once a commit names it."""
    ledger.place.publish(name, data)
    return Part(name, rows, len(data), blake2b(data, digest_size=16).hexdigest())


def table_name(ledger: Ledger, folder: str, form: str) -> str:
    """Name a new part: never as one of an earlier try."""
    return f"{folder}/part-{ledger.number:08}-{uuid.uuid4().hex}.{form}"


def publish_catalogue(ledger: Ledger, commits: Iterable[Commit]) -> str:
    """Write a file of the catalogue; its name is made from the epoch and from what is in it."""
    lines = b"\n".join(commit.to_json() for commit in commits)
    name = f"{CATALOGUE}/{ledger.number:08}-{blake2b(lines, digest_size=16).hexdigest()}.jsonl.zst"
    ledger.place.publish(name, zstandard.ZstdCompressor(level=9).compress(lines))
    return name
