"""Files that are odd and files that are broken, made from a seed: for every format, in every packing, harmed in many ways."""

import bz2
import gzip
import io
import json
import lzma
import random
import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from operators.storage.compression import Gap, blocks
from operators.storage.packing import ENDINGS
from operators.storage.registry import readers

PACKERS = [bytes] * 4 + [
    gzip.compress,
    bz2.compress,
    lzma.compress,
    zstandard.compress,
    lambda content: pa.Codec("lz4").compress(content, asbytes=True),
]
ENCODERS = [*PACKERS, lambda content: content.decode(errors="replace").encode("utf-16")]
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
    return draw.choice(ENCODERS)(draw.choice(LAYOUTS)(items).encode(errors="surrogatepass"))


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


def parquet_file(draw: Draw, table: Callable[[Draw], pa.Table] = table) -> bytes:
    sink = io.BytesIO()
    codec, version = draw.choice(["none", "snappy", "gzip", "zstd", "lz4", "brotli"]), draw.choice(["1.0", "2.0"])
    size = draw.choice([1, 7, 1000])
    pq.write_table(table(draw), sink, row_group_size=size, compression=codec, data_page_version=version)
    return draw.choice(PACKERS)(sink.getvalue())


def arrow_file(draw: Draw, table: Callable[[Draw], pa.Table] = table) -> bytes:
    rows, sink = table(draw), pa.BufferOutputStream()
    with draw.choice([pa.ipc.new_file, pa.ipc.new_stream])(sink, rows.schema) as writer:
        writer.write_table(rows, draw.choice([1, 7, 1000]))
    return draw.choice(PACKERS)(sink.getvalue().to_pybytes())


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
    return packed_apart(draw, [warc_record(draw) for _ in range(draw.randrange(6))])


def packed_apart(draw: Draw, parts: list[bytes]) -> bytes:
    """Pack all parts together, or each by itself."""
    pack = draw.choice(PACKERS)
    return pack(b"".join(parts)) if draw.random() < 0.5 else b"".join(map(pack, parts))


FILES = {
    "arrow": arrow_file,
    "jsonl": json_file,
    "lines": json_file,
    "parquet": parquet_file,
    "text": json_file,
    "warc": warc_file,
}


def name(draw: Draw) -> str:
    """Call a file by any ending, which need not be that of its format or packing."""
    endings = [ending for _, reader in readers() for ending in reader.endings]
    return f"a{draw.choice(['', *endings])}{draw.choice(['', *ENDINGS])}"


def sound_json(draw: Draw) -> bytes:
    """Give a JSON file that has nothing odd: each of its documents is kept."""
    items = [
        json.dumps(
            {"text": f"{number} " * draw.randrange(1, 40), "p": [{"text": "inner"}]}, indent=draw.choice([None, 1])
        )
        for number in range(1, draw.randrange(2, 20))
    ]
    layout = draw.choice(LAYOUTS[1:] if "\n" in "".join(items) else LAYOUTS)
    return draw.choice(ENCODERS)(layout(items).encode())


def sound_lines(draw: Draw) -> bytes:
    lines = [f"line {number} " * draw.randrange(1, 20) for number in range(draw.randrange(1, 20))]
    return draw.choice(ENCODERS)("\n".join(lines).encode())


def sound_table(draw: Draw) -> pa.Table:
    return pa.table({"text": [f"{number} " * 20 for number in range(draw.randrange(1, 30))]})


def sound_warc(draw: Draw) -> bytes:
    head = "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Record-ID: <urn:%d>\r\nContent-Type: text/plain\r\n"
    head += "Content-Length: %d\r\n\r\n"
    texts = [f"a text {number} ".encode() * draw.randrange(1, 30) for number in range(draw.randrange(1, 6))]
    return packed_apart(
        draw, [(head % (number, len(text))).encode() + text + b"\r\n\r\n" for number, text in enumerate(texts)]
    )


SOUND = {
    "arrow": partial(arrow_file, table=sound_table),
    "jsonl": sound_json,
    "lines": sound_lines,
    "parquet": partial(parquet_file, table=sound_table),
    "text": sound_lines,
    "warc": sound_warc,
}


def counted(format: str, content: bytes, name: str) -> set[int]:
    """Count the documents of a file as readers do that stop at the first fault; nothing where all of them find one.

    A file that was cut off where a record ends is sound, and nobody can tell what it lacks.
    """
    parts = list(blocks(io.BytesIO(content), name))
    if any(isinstance(part, Gap) for part in parts):
        return set()
    plain, found = b"".join(parts), set()
    for count in COUNTED[format]:
        with suppress(Exception):
            found.add(count(plain))
    return found


def _lines(plain: bytes) -> int:
    return sum(bool(line.strip(b"\xef\xbb\xbf \t\r")) for line in plain.split(b"\n"))


def _json_lines(plain: bytes) -> int:
    return len([json.loads(line) for line in plain.decode("utf-8-sig").split("\n") if line.strip()])


def _json_values(plain: bytes) -> int:
    text, number = plain.decode("utf-8-sig").lstrip(" \t\r\n,\ufeff\x1e"), 0
    while text:
        value, end = json.JSONDecoder().raw_decode(text)
        value = value["data"] if isinstance(value, dict) and "data" in value else value
        number += len(value) if isinstance(value, list) else 1
        text = text[end:].lstrip(" \t\r\n,\ufeff\x1e")
    return number


def _arrow_streams(plain: bytes) -> int:
    source, rows = pa.BufferReader(plain), 0
    while source.tell() < len(plain):
        rows += pa.ipc.open_stream(source).read_all().num_rows
    return rows


def _warc_records(plain: bytes) -> int:
    number = 0
    while plain := plain.lstrip(b"\r\n\0"):
        head, _, rest = plain.partition(b"\r\n\r\n")
        kind, length = (re.search(rb"\r\n%s: (\w+)" % field, head)[1] for field in (b"WARC-Type", b"Content-Length"))
        after = rest[int(length) :]
        if len(rest) < int(length) or (after.strip(b"\r\n") and not after.startswith(b"\r\n\r\n")):
            raise ValueError("no record ends there")
        plain = after
        number += kind.lower() in (b"response", b"resource", b"conversion")
    return number


COUNTED = {
    "arrow": [lambda plain: pa.ipc.open_file(plain).read_all().num_rows, _arrow_streams],
    "jsonl": [_json_lines, _json_values],
    "lines": [_lines],
    "parquet": [lambda plain: pq.read_table(io.BytesIO(plain)).num_rows],
    "text": [lambda plain: 1],
    "warc": [_warc_records],
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
