"""Files that are odd and files that are broken, made from a seed: for every format, in every packing, harmed in many ways."""

import bz2
import gzip
import io
import json
import lzma
import random
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

PACKERS = [bytes] * 4 + [
    gzip.compress,
    bz2.compress,
    lzma.compress,
    zstandard.compress,
    lambda content: pa.Codec("lz4").compress(content, asbytes=True),
    lambda content: content.decode(errors="replace").encode("utf-16"),
]
Draw = random.Random
RECORDS = [
    '{"text": "a"}',
    '{"text": null}',
    '{"text": "x", "n": NaN, "m": -Infinity, "big": 123456789012345678901234567890}',
    '{"id": 1, "text": "\\ud800"}',
    '{"text": "cut',
    '["list"]',
    '"string"',
    "{}",
    json.dumps({"text": "word " * 200, "inner": [{"text": "inner"}]}),
    json.dumps({"text": "pretty", "inner": {"a": [1, 2]}}, indent=1),
]
LAYOUTS: list[Callable[[list[str]], str]] = [
    "\n".join,
    "".join,
    ",\n".join,
    lambda items: f"[{','.join(items)}]",
    lambda items: "\ufeff[\n" + ",\n".join(items) + "\n]",
    lambda items: '{"version": 1, "data": [' + ", ".join(items) + "]}",
]
EXTRA_COLUMNS = {
    "id": pa.int64(),
    "key": pa.list_(pa.struct([("a", pa.string())])),
    "when": pa.timestamp("ns", "Europe/Berlin"),
    "pairs": pa.map_(pa.string(), pa.int8()),
    "half": pa.float16(),
    "nothing": pa.null(),
    "raw": pa.binary(),
    "span": pa.duration("us"),
    "which": pa.uuid(),
}


def json_file(draw: Draw) -> bytes:
    items = draw.choices(RECORDS, k=draw.randrange(10))
    return draw.choice(PACKERS)(draw.choice(LAYOUTS)(items).encode(errors="surrogatepass"))


def table(draw: Draw) -> pa.Table:
    rows = draw.randrange(30)
    texts = pa.array(draw.choices(["a", "b" * 300, "", None, "글"], k=rows), pa.string())
    columns = [("text", texts)]
    more = draw.choices(list(EXTRA_COLUMNS), k=draw.randrange(5))  # a name may come twice
    columns += [(name, pa.nulls(rows, EXTRA_COLUMNS[name])) for name in more]
    if draw.random() < 0.1:
        columns.append(("text", texts))
    draw.shuffle(columns)
    return pa.table([values for _, values in columns], names=[name for name, _ in columns])


def parquet_file(draw: Draw) -> bytes:
    sink = io.BytesIO()
    codec, version = draw.choice(["none", "snappy", "gzip", "zstd", "lz4", "brotli"]), draw.choice(["1.0", "2.0"])
    size = draw.choice([1, 7, 1000])
    pq.write_table(table(draw), sink, row_group_size=size, compression=codec, data_page_version=version)
    return sink.getvalue()


def arrow_file(draw: Draw) -> bytes:
    rows, sink = table(draw), pa.BufferOutputStream()
    with draw.choice([pa.ipc.new_file, pa.ipc.new_stream])(sink, rows.schema) as writer:
        writer.write_table(rows, draw.choice([1, 7, 1000]))
    return sink.getvalue().to_pybytes()


def warc_record(draw: Draw) -> bytes:
    body = b"a text that was captured " * draw.randrange(9)
    kind, block = draw.choice([("warcinfo", b"a: b"), ("conversion", body), ("response", http(draw, body))])
    type = "application/http" if kind == "response" else "text/plain"
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:{draw.random()}>\r\nContent-Type: {type}\r\n"
    return f"{head}Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n"


def http(draw: Draw, body: bytes) -> bytes:
    fields, packed = draw.choice(
        [
            ("", body),
            ("Content-Encoding: gzip\r\n", gzip.compress(body) * 2),
            ("Content-Encoding: br, br\r\n", pa.Codec("brotli").compress(body, asbytes=True)),
            ("Content-Encoding: deflate\r\n", body),
            ("Transfer-Encoding: chunked\r\n", b"%x\r\n%s\r\n" % (len(body), body)),
            ("Content-Length: 999\r\n", body),
        ]
    )
    return f"HTTP/1.1 200 OK\r\nContent-Type: text/plain, text/plain\r\n{fields}\r\n".encode() + packed


def warc_file(draw: Draw) -> bytes:
    records, pack = [warc_record(draw) for _ in range(draw.randrange(6))], draw.choice(PACKERS[:-1])
    return pack(b"".join(records)) if draw.random() < 0.5 else b"".join(map(pack, records))


FILES = {
    "arrow": arrow_file,
    "jsonl": json_file,
    "lines": json_file,
    "parquet": parquet_file,
    "text": json_file,
    "warc": warc_file,
}


def harmed(draw: Draw, content: bytes, other: bytes) -> bytes:
    """Harm a file: cut it off, flip a bit, swap, blank, double or overwrite a stretch, join another file to it."""
    for _ in range(draw.choice([0, 1, 1, 1, 2, 4])):
        size = len(content)
        one, two = sorted(draw.randrange(size + 1) for _ in range(2))
        at = draw.randrange(max(0, size - 400), size + 1) if draw.random() < 0.3 else one  # where footers are
        content = draw.choice(
            [
                content[:at],
                content[at:],
                content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :]
                if at < size
                else content,
                content[:one] + content[two:] + content[one:two],
                content[:at] + bytes(32) + content[at + 32 :],
                content[:at] + content[at : at + 99] * 3 + content[at + 99 :],
                content[:at] + draw.randbytes(draw.randrange(1, 30)) + content[at + 10 :],
                content + other,
            ]
        )
    return content
