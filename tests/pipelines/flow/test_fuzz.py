"""Files of any contents through the whole mill, without Ray: nothing raises, and every row is accounted for."""

import asyncio
import gzip
import io
import json
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from operators.models.engines.base import Completion, Request
from operators.rewrite.fan_out import FanOut
from operators.rewrite.rephrase import Rephrase
from operators.storage.base import InputFile, Split
from operators.storage.config import InputConfig, StorageConfig
from operators.storage.place import Place
from operators.storage.reading import read_documents
from operators.storage.registry import reader_of
from operators.table import ORIGINAL
from operators.text.chunk import ChunkConfig
from pipelines.config import compose
from pipelines.flow.orders.order import Order, cut
from pipelines.flow.orders.writer import write_orders
from pipelines.ledger.lease import myself
from pipelines.ledger.proof.verify import verify
from pipelines.ledger.records import State
from pipelines.ledger.tenure import Tenure, claim
from pipelines.rephrase.dag import refinements, requests
from pipelines.rephrase.job import RephraseJob
from pipelines.rephrase.rows import form
from tests.fakes.rewriting import rewrite

LOCAL = StorageConfig()
STYLES = ["medium", "qa"]

texts = st.text(max_size=400) | st.sampled_from(
    [
        "",
        " \n\t",
        "맷돌은 물레방아로 돌아간다. 밀가루가 나온다.",
        "The mill grinds rye. " * 60,
        "a" * 3000,
        "\x00\ufeff\u202e",
        "e\u0301" * 50,
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
documents = st.fixed_dictionaries({"text": texts}, optional={"id": values, "url": values, "other": values})
lines = st.one_of(
    documents.map(lambda row: json.dumps(row, ensure_ascii=False).encode(errors="surrogatepass")),
    values.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=60),
    st.just(b'{"text": "\\ud800 half a pair"}'),
)
bodies = texts.map(lambda text: f"<html><body><p>{text}</p></body></html>".encode(errors="surrogatepass"))


def warc_record(body: bytes, cut_short: int) -> bytes:
    response = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body
    head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://x/\r\nContent-Length: {len(response)}\r\n\r\n"
    return (head.encode() + response + b"\r\n\r\n")[: -cut_short or None]


def parquet(rows: list[str | None]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": pa.array(rows, pa.string())}), buffer, row_group_size=2)
    return buffer.getvalue()


encodable = texts.filter(lambda text: text.isprintable() or text.isascii())
CONTENTS = {
    "jsonl": st.lists(lines, max_size=8).map(b"\n".join),
    "text": st.binary(max_size=300) | texts.map(lambda text: text.encode(errors="surrogatepass")),
    "lines": st.binary(max_size=300)
    | st.lists(texts, max_size=5).map(lambda t: "\n".join(t).encode(errors="surrogatepass")),
    "warc": st.lists(st.builds(warc_record, bodies, st.sampled_from([0, 0, 0, 5, 60])), max_size=4).map(b"".join),
    "parquet": st.lists(st.none() | encodable, max_size=6).map(parquet),
}


@st.composite
def damage(draw, contents: bytes) -> bytes:
    """Leave contents as they are, or harm them: cut off, a byte changed, a stretch put in."""
    kind = draw(st.sampled_from(["none", "none", "cut", "flip", "insert"]))
    at = draw(st.integers(0, max(len(contents) - 1, 0)))
    if kind == "cut":
        return contents[:at]
    if kind == "flip" and contents:
        return contents[:at] + bytes([contents[at] ^ draw(st.integers(1, 255))]) + contents[at + 1 :]
    return contents[:at] + draw(st.binary(max_size=20)) + contents[at:] if kind == "insert" else contents


@st.composite
def files(draw) -> tuple[str, str, bytes, list[int]]:
    """Draw a format, a name, contents, and where the file is cut into splits."""
    format = draw(st.sampled_from(sorted(CONTENTS)))
    contents = draw(damage(draw(CONTENTS[format])))
    if not reader_of(format).divisible:
        return format, "a", contents, []
    if draw(st.booleans()) and format != "parquet":
        return format, "a.gz", draw(damage(gzip.compress(contents))), []
    return format, "a", contents, sorted(draw(st.sets(st.integers(1, max(len(contents) - 1, 1)), max_size=3)))


class Mirror:
    """An engine that answers at once: each passage with its words in another order, and now and then not at all."""

    model, seats = "mirror", 8

    async def complete(self, request: Request) -> Completion:
        if (request.seed or 0) % 7 == 0:
            return Completion(None, error="bad_answer", detail="it was not to be")
        prompt = "\n".join(message["content"] for message in request.messages)
        text, tokens, finish = rewrite(prompt, request.max_tokens)
        return Completion(text, finish, prompt_tokens=len(prompt), completion_tokens=tokens)


JOB = compose(
    RephraseJob,
    None,
    [f"styles={STYLES}".replace("'", ""), "engine.openai.base_url=http://none", "chunk.max_tokens=60"],
)


def mill(tenure: Tenure, split: Split) -> None:
    """Do with a split what the pipeline's stages do, and commit its orders one by one."""
    asked = requests(ChunkConfig(max_tokens=60), FanOut(dict.fromkeys(STYLES, 0), real=True))
    rephrase = Rephrase(JOB, Mirror())
    pieces = read_documents(split, InputConfig(format=split.file.format), LOCAL, piece_bytes=500)
    whole = (Order(split.key, ((piece.begin, 0), (piece.end, 0)), asked(piece.documents)) for piece in pieces)
    orders = (order for piece in whole for order in cut(piece, calls_per_order=4))
    for number, order in enumerate(orders):
        rows = asyncio.run(rephrase(order.rows))
        for operator in refinements(JOB).values():
            rows = operator(rows)
        assert sorted(rows["id"].to_pylist()) == sorted(order.rows["id"].to_pylist())
        write_orders(tenure.ledger, form(stitched=False), f"{split.begin}-{number}", [order.with_rows(rows)])


def everything(place: Place) -> list[dict]:
    return [
        row
        for folder in ("data", "rejected")
        for name in place.names(folder)
        for row in pq.read_table(place.open(name)).to_pylist()
    ]


def texts_of(splits: list[Split]) -> Counter:
    """Count the texts of the documents in some splits; None stands for those without one."""
    pieces = (
        piece for split in splits for piece in read_documents(split, InputConfig(format=split.file.format), LOCAL)
    )
    return Counter(text for piece in pieces for text in piece.documents["text"].to_pylist())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(files())
def test_whatever_is_in_a_file_each_of_its_rows_is_accounted_for(drawn):
    format, name, contents, borders = drawn
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(contents)
        file = InputFile(name, str(path), len(contents), format)
        ends = [*borders, max(len(contents), 1)]
        splits = [Split(file, begin, end) for begin, end in zip([0, *borders], ends, strict=True) if begin < end]
        place = Place(f"{folder}/out", LOCAL)
        tenure = claim(place, None, State(), myself(), {"splits": [split.key for split in splits], "input": {}})
        for split in splits:
            mill(tenure, split)
        tenure.fold(at_least=1)
        assert list(verify(place).lines())[:-1] == []
        check_texts(everything(place), texts_of(splits))


def check_texts(rows: list[dict], read: Counter) -> None:
    """Every document that was read is there: whole, and chunk by chunk in every style; or it was rejected."""
    originals = [row for row in rows if row["style"] == ORIGINAL]
    rejected = sum(row["style"] is None for row in rows)
    assert len(originals) + rejected == read.total()
    assert Counter(row["text"] for row in originals) <= read
    for document, times in Counter(row["document_id"] for row in originals).items():
        (text, *_) = (row["text"] for row in originals if row["document_id"] == document)
        for style in STYLES if times == 1 else ():
            chunks = [
                (r["chunk_index"], r["source_text"])
                for r in rows
                if (r["document_id"], r["style"]) == (document, style)
            ]
            assert "".join(source for _, source in sorted(chunks)) == text
