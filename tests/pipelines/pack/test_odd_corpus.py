"""Thirty odd files in one folder: each document is in the rows or rejected by name, and what nobody can count is told."""

import bz2
import gzip
import io
import json
import lzma
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.storage.config import StorageConfig
from operators.storage.place import Place
from pipelines.config import compose
from pipelines.ledger.proof.verify import verify
from pipelines.ledger.reading import read_records
from pipelines.pack.job import PackJob
from pipelines.pack.pipeline import PackDocuments
from pipelines.run.card import read_of
from pipelines.run.execute import run_pipeline
from tests.tiny_model import make_tiny_model

pytestmark = pytest.mark.usefixtures("ray_session")
A, B = '{"text": "The mill grinds rye."}', '{"text": "The wheel turns."}'
LINES = f"{A}\n{B}\n".encode()


def parquet(columns: list[tuple[str, list]], **options) -> bytes:
    sink, (names, values) = io.BytesIO(), zip(*columns, strict=True)
    pq.write_table(pa.table(list(values), names=list(names)), sink, **options)
    return sink.getvalue()


def arrow(texts: list[str]) -> bytes:
    sink, rows = pa.BufferOutputStream(), pa.table({"text": texts})
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows, 1)
    return sink.getvalue().to_pybytes()


def broken_group() -> bytes:
    """Three row groups of four rows, the second of which is blanked."""
    content = bytearray(
        parquet([("text", [f"row {n} " * 9 for n in range(12)])], row_group_size=4, use_dictionary=False)
    )
    column = pq.ParquetFile(io.BytesIO(content)).metadata.row_group(1).column(0)
    begin = column.data_page_offset
    content[begin : begin + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    return bytes(content)


def warc(*bodies: bytes) -> bytes:
    records = b""
    for number, body in enumerate(bodies):
        block = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain, text/plain; charset=utf-8\r\n" + body
        head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:{number}>\r\nWARC-Target-URI: http://x/\r\n"
        records += f"{head}Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n"
    return records


TEXTS = [("text", ["a text", "another"])]
# name: contents, documents kept, and the reasons of the rows that left
FILES: dict[str, tuple[bytes, int, list[str]]] = {
    "01 plain.jsonl.gz": (LINES, 2, []),
    "02 packed.jsonl": (gzip.compress(LINES), 2, []),
    "03 twice.jsonl.bz2": (gzip.compress(bz2.compress(LINES)), 2, []),
    "04 xz.jsonl.xz": (lzma.compress(LINES), 2, []),
    "05 utf-16.jsonl": (LINES.decode().encode("utf-16"), 2, []),
    "06 mark.json": (f"\ufeff[{A}, {B}]".encode(), 2, []),
    "07 nan.json": (b'[{"text": "x", "n": NaN}, {"text": "y", "n": 1e999}]', 2, []),
    "08 bad item.json": (f'[{A}, {{"text": nul}}, {B}]'.encode(), 2, ["invalid_json"]),
    "09 array.jsonl": (f"[\n{A},\n{B}\n]".encode(), 2, []),
    "10 lines.json": (LINES, 2, []),
    "11 pretty.json": (json.dumps(json.loads(A), indent=2).encode() * 2, 2, []),
    "12 inside.json": (f'{{"version": 1, "data": [{A}, {B}]}}'.encode(), 2, []),
    "13 two lists.json": (f'{{"train": [{A}], "test": [{B}]}}'.encode(), 0, ["corrupt_file"]),
    "14 surrogate.jsonl": (b'{"text": "\\ud800"}\n' + LINES, 2, ["invalid_utf8"]),
    "15 torn.jsonl.gz": (gzip.compress(LINES * 99)[:-20], -1, ["corrupt_file"]),
    "16 empty.jsonl": (b"", 0, []),
    "17 twins.parquet": (parquet([*TEXTS, ("n", [1, 2]), ("n", [3, 4])]), 2, []),
    "18 two texts.parquet": (parquet([*TEXTS, *TEXTS]), 0, ["ambiguous_column"] * 2),
    "19 no text.parquet": (parquet([("body", ["x", "y", "z"])]), 0, ["no_text_column"] * 3),
    "20 broken group.parquet": (broken_group(), 8, ["broken_record"] * 4),
    "21 no footer.parquet": (parquet(TEXTS)[:-30], 0, ["corrupt_file"]),
    "22 numbers.parquet": (parquet([("text", [1, 2])]), 0, ["text_not_a_string"] * 2),
    "23 no rows.parquet": (parquet([("text", pa.array([], pa.string()))]), 0, []),
    "24 stream.arrow": (arrow(["a text", "another"]), 2, []),
    "25 cut.arrow": (arrow(["a text", "another"])[:-8], 2, ["corrupt_file"]),
    "lang=de%20at/26 part 0.parquet": (parquet(TEXTS), 2, []),
    "27 members.warc": (
        warc(b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"one half, ") + gzip.compress(b"and the other")),
        1,
        [],
    ),
    "28 no last chunk.warc.gz": (gzip.compress(warc(b"Transfer-Encoding: chunked\r\n\r\n6\r\na text\r\n")), 1, []),
    "29 zeros.txt": (b"some text" + bytes(9), 1, []),
    "30 nowhere.jsonl": (b"", 0, ["unreadable_file"]),
}
BESIDE = {"README.md": b"# About", "dataset_infos.json": b"{}", ".gitattributes": b"", "lang=de%20at/_SUCCESS": b""}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("odd") / "corpus"
    for name, content in ({name: content for name, (content, *_) in FILES.items()} | BESIDE).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "30 nowhere.jsonl").unlink()
    (folder / "30 nowhere.jsonl").symlink_to(folder / "gone")
    return folder


def test_each_document_of_thirty_odd_files_is_accounted_for(corpus, tmp_path):
    assert len(FILES) == 30
    model, said = make_tiny_model(tmp_path / "model"), []
    words = [f"input.path={corpus}", f"pack.tokenizer={model}", "pack.window=32", f"output.path={tmp_path / 'out'}"]
    run_pipeline(PackDocuments(compose(PackJob, None, words)), say=said.append, tell=False)
    place = Place(str(tmp_path / "out"), StorageConfig())
    assert verify(place).whole
    rejected = [row for name in place.names("rejected") for row in pq.read_table(place.open(name)).to_pylist()]
    found = {name: sorted(row["reason"] for row in rejected if row["source_file"] == name) for name in FILES}
    assert found == {name: reasons for name, (_, _, reasons) in FILES.items()}
    assert all(row["detail"] for row in rejected if row["reason"] not in ("null_text", "empty_text"))
    counts = read_records(place).now().counts
    kept = counts["documents"] - len(rejected)
    torn = kept - sum(number for _, number, _ in FILES.values() if number > 0)
    assert 0 < torn <= 2 * 99  # what is left of the file that was cut off
    unknown = Counter(reason for _, _, reasons in FILES.values() for reason in reasons if "file" in reason)
    assert unknown == {"corrupt_file": 4, "unreadable_file": 1}
    told = dict(read_of(counts))
    assert told["documents read"] == f"{counts['documents'] - 5:,}"
    assert told["could not be read"].startswith("5 places, named in rejected/ (corrupt_file 4, unreadable_file 1)")
    assert any("2 hidden" in line and "2 about the data" in line for line in said)
