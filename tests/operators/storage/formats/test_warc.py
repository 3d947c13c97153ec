import gzip
import json
import random
import re
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from operators.errors import BadRequest
from operators.storage import frames
from operators.storage.base import CorruptFile
from operators.storage.config import InputConfig
from operators.storage.formats import warc
from operators.storage.frames import RecordHead
from operators.storage.listing import list_input, split_input
from operators.storage.reading import check_input, made_id, read_documents
from operators.text.extract import ExtractConfig, NoText
from tests.operators.storage.documents import LOCAL, assert_tiled, pieces, rows

PARAGRAPH = "<p>This paragraph speaks of mills and rivers, at a length that no extractor would mistake for a menu.</p>"


def http(text: str, status: str = "200 OK", type: str = "text/html; charset=utf-8") -> bytes:
    page = f"<html><body><article><h1>{text}</h1>{PARAGRAPH * 3}</article></body></html>".encode()
    return f"HTTP/1.1 {status}\r\nContent-Type: {type}\r\nContent-Length: {len(page)}\r\n\r\n".encode() + page


def record(block: bytes, kind: str = "response", type: str = "application/http; msgtype=response", **fields) -> bytes:
    number = fields.pop("id", 0)
    head = {"WARC-Type": kind, "WARC-Record-ID": f"<urn:uuid:{number}>", "WARC-Target-URI": f"http://site/{number}"}
    head |= {"WARC-Date": "2024-01-02T03:04:05Z", "Content-Type": type, "Content-Length": str(len(block))} | fields
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return f"WARC/1.0\r\n{lines}\r\n".encode() + block + b"\r\n\r\n"


def crawl() -> list[bytes]:
    return [
        record(b"software: x\r\n", "warcinfo", "application/warc-fields"),
        record(b"GET / HTTP/1.1\r\n\r\n", "request", "application/http; msgtype=request"),
        record(http("first"), id=1),
        record(b"a: b", "metadata", "application/warc-fields"),
        record(http("second"), id=2),
        record(b"HTTP/1.1 200 OK\r\n\r\n", "revisit"),
        record(http("third"), id=3),
    ]


def write(folder: Path, records: list[bytes], name: str = "a.warc.gz") -> Path:
    pack = gzip.compress if name.endswith(".gz") else bytes
    (folder / name).write_bytes(b"".join(map(pack, records)))
    return folder / name


def outcome(found: list[dict]) -> list[tuple[str, str | None]]:
    return [(row["document_id"].strip("<>").removeprefix("urn:uuid:"), row["reason"]) for row in found]


WHOLE = [("1", None), ("2", None), ("3", None)]
LACKING = ("a.warc.gz", "corrupt_file")  # packed bytes that cannot be read, and may have been of several records


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
def test_captured_pages_become_their_main_text(tmp_path, name):
    found = rows(write(tmp_path, crawl(), name))
    assert outcome(found) == WHOLE
    assert found[0]["document_id"] == "<urn:uuid:1>" and found[0]["text"].startswith("first\nThis paragraph speaks")
    assert json.loads(found[0]["metadata"]) == {
        "url": "http://site/1",
        "date": "2024-01-02T03:04:05Z",
        "mime": "text/html",
    }


def test_another_extractor_may_be_asked_for(tmp_path):
    settings = InputConfig(path=str(write(tmp_path, crawl())))
    (split,) = split_input(list_input(settings, LOCAL), settings)
    (piece,) = read_documents(split, settings, LOCAL, extract=ExtractConfig("resiliparse"))
    assert [text.split("\n")[0] for text in piece.documents["text"].to_pylist()] == ["first", "second", "third"]


def test_pages_of_listed_or_broken_media_types_are_read(tmp_path):
    types = ["text/html, text/html; charset=utf-8", "html", "text/html\r\nContent-Type: text/html; charset=UTF-8"]
    records = [record(http(f"page {number}", type=type), id=number) for number, type in enumerate(types)]
    assert outcome(rows(write(tmp_path, records))) == [("0", None), ("1", None), ("2", None)]


def test_a_warc_with_a_dictionary_of_its_own_is_read(tmp_path):
    dictionary = zstandard.train_dictionary(1500, [http(f"page {number}") for number in range(200)])
    pack = zstandard.ZstdCompressor(dict_data=dictionary).compress
    learned = zstandard.compress(dictionary.as_bytes())
    begin = b"\x5d\x2a\x4d\x18" + len(learned).to_bytes(4, "little") + learned
    (tmp_path / "a.warc.zst").write_bytes(begin + b"".join(map(pack, crawl())))
    assert outcome(rows(tmp_path)) == WHOLE


def test_packing_moves_no_position(tmp_path):
    found = [rows(write(tmp_path, crawl(), name)) for name in ("a.warc", "a.warc.gz")]
    (tmp_path / "b.warc.gz").write_bytes(gzip.compress(b"".join(crawl())))
    found.append(rows(tmp_path / "b.warc.gz"))
    assert len({tuple(row["position"] for row in rows) for rows in found}) == 1


def test_a_page_without_text_leaves_with_a_reason_that_names_it(tmp_path):
    records = [
        record(http("x", "404 Not Found"), id=1),
        record(http("x", type="image/png"), id=2),
        record(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", id=3),
        record(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8bxx", id=4),
        record(b"no http here", id=5),
        record(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nzz\r\n", id=6),
        record(b"\x20\n", "conversion", "text/plain", id=7),
        record(b"\xff", "conversion", "text/plain", id=8),
        record("본문".encode(), "conversion", "text/plain", id=9),
        record(b"text as it is", "resource", "text/plain", id=10),
    ]
    found = rows(write(tmp_path, records))
    assert [row["reason"] for row in found] == [
        "http_status", "not_html", "no_main_text", "decode_error", "broken_record", "broken_record",
        "empty_text", "invalid_utf8", None, None,
    ]  # fmt: skip
    assert found[0]["detail"] == "404; <urn:uuid:1> of http://site/1"
    assert [row["text"] for row in found[-2:]] == ["본문", "text as it is"]


@pytest.mark.parametrize("reason", ["deadline", "crash", "too_large"])
def test_a_page_that_no_text_was_looked_for_in_to_the_end_is_no_page_without_text(tmp_path, monkeypatch, reason):
    def extract(*_) -> None:
        raise NoText(reason, "it hung")

    monkeypatch.setattr(warc, "extract", extract)
    (row,) = rows(write(tmp_path, [record(http("page"), id=1)]))
    assert (row["reason"], row["detail"]) == (reason, "it hung; <urn:uuid:1> of http://site/1")


def too_long(page: bytes) -> bytes:
    return re.sub(rb"(Content-Length: )(\d+)", rb"\g<1>9\2", page, count=1)


def too_short(page: bytes) -> bytes:
    return re.sub(rb"Content-Length: \d+", b"Content-Length: 40", page, count=1)


def unreadable(page: bytes) -> bytes:
    return re.sub(rb"Content-Length: \d+", b"Content-Length: many", page, count=1)


def absurd(page: bytes) -> bytes:
    return re.sub(rb"Content-Length: \d+", b"Content-Length: 99999999999", page, count=1)


@pytest.mark.parametrize("name", ["a.warc", "a.warc.gz"])
@pytest.mark.parametrize("lie", [too_long, too_short, unreadable, absurd])
def test_after_a_record_whose_length_lies_the_next_one_is_read(tmp_path, name, lie):
    records = crawl()
    records[4] = lie(records[4])
    path = write(tmp_path, records, name)
    assert outcome(rows(path)) == [("1", None), ("2", "broken_record"), ("3", None)]
    assert outcome(rows(path, on_error="fail")) == outcome(rows(path))


@pytest.mark.parametrize("at", [1500, 3000, -8])
def test_after_a_broken_gzip_member_the_next_record_is_read(tmp_path, at):
    records = crawl()
    records[4] = record(http(random.Random(at).randbytes(5000).hex()), id=2)
    members = [bytearray(gzip.compress(part)) for part in records]
    members[4][at : at + 3] = bytes(3)
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(members))
    assert outcome(rows(path)) == [("1", None), ("2", "broken_record"), LACKING, ("3", None)]
    with pytest.raises(CorruptFile, match=r"a\.warc\.gz"):
        rows(path, on_error="fail")


@pytest.mark.parametrize(("name", "more"), [("a.warc", []), ("a.warc.gz", [LACKING])])
def test_a_file_that_ends_inside_a_record_keeps_those_before(tmp_path, name, more):
    path = write(tmp_path, crawl(), name)
    path.write_bytes(path.read_bytes()[:-60])
    assert outcome(rows(path)) == [("1", None), ("2", None), ("3", "broken_record"), *more]
    assert "ends" in rows(path)[-1]["detail"]


def endless(page: bytes) -> bytes:
    return re.sub(rb"Content-Length: \d+", b"Content-Length: " + b"9" * 5000, page, count=1)


def test_lengths_of_thousands_of_digits_cost_their_records_alone(tmp_path):
    records = crawl()
    records[4] = endless(records[4])
    assert outcome(rows(write(tmp_path, records))) == [("1", None), ("2", "broken_record"), ("3", None)]
    records[4] = record(endless(http("second")), id=2)
    assert outcome(rows(write(tmp_path, records))) == WHOLE


def test_ids_are_those_of_the_records_or_made(tmp_path):
    records = [*crawl(), record(b"no http here", id=4), record(http("cut"), id=5)[:-60]]
    path = write(tmp_path, records, "a.warc")
    for config in ({}, {"text_column": None}):
        made = rows(path, id_column=None, **config)
        assert [row["reason"] for row in made] == [row["reason"] for row in rows(path, **config)]
        assert [len(row["document_id"]) for row in made] == [32] * 5
        assert made[0]["document_id"] == made_id("a.warc", made[0]["position"], made[0]["text"])
    settings = InputConfig(path=str(path), id_column="key")
    with pytest.raises(BadRequest, match=r"no column 'key' is in .*a\.warc.*input\.id_column=id takes WARC-Record-ID"):
        check_input(list_input(settings, LOCAL), settings, LOCAL)


def test_a_broken_record_of_an_unheard_of_kind_is_told_and_a_whole_one_is_none(tmp_path):
    records = crawl()
    records.insert(4, record(b"whatever", "screenshot", "image/png", id=9))
    assert outcome(rows(write(tmp_path, records))) == WHOLE
    records[4] = records[4].replace(b"Content-Length: 8", b"Content-Len")
    assert outcome(rows(write(tmp_path, records))) == [("1", None), LACKING, ("2", None), ("3", None)]
    records[4] = record(b"a text", "conv\0\0\0on", "text/plain", id=9)
    assert outcome(rows(write(tmp_path, records))) == [("1", None), LACKING, ("2", None), ("3", None)]


def test_garbage_between_records_is_told_and_costs_none(tmp_path):
    records = crawl()
    records.insert(4, b"\0\xff garbage \r\n\r\n" * 3000)
    found = rows(write(tmp_path, records, "a.warc"))
    assert outcome(found) == [("1", None), ("a.warc", "corrupt_file"), ("2", None), ("3", None)]


def test_a_record_too_large_to_hold_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(frames, "MAX_BLOCK", 50_000)
    records = crawl()
    records[4] = record(b"x" * 300_000, id=2)
    assert outcome(rows(write(tmp_path, records))) == [("1", None), ("2", "too_large"), ("3", None)]


@given(st.binary(max_size=300), st.integers(0, 3000), st.booleans())
def test_no_damage_makes_the_reader_fail_or_lose_the_order(tmp_path_factory, noise, at, packed):
    name = "a.warc.gz" if packed else "a.warc"
    content = b"".join(gzip.compress(part) if packed else part for part in crawl())
    path = tmp_path_factory.mktemp("noise") / name
    path.write_bytes(content[:at] + noise + content[at + len(noise) :])
    settings = InputConfig(path=str(path))
    (split,) = split_input(list_input(settings, LOCAL), settings)
    with open(path, "rb") as handle:
        positions = [record.position for record in warc.Warc(split, settings).records(handle)]
    assert positions == sorted(set(positions)) and positions


def test_what_is_done_is_not_extracted(tmp_path, monkeypatch):
    path = write(tmp_path, crawl())
    settings = InputConfig(path=str(path))
    (split,) = split_input(list_input(settings, LOCAL), settings)
    found = list(read_documents(split, settings, LOCAL, piece_bytes=1))
    assert_tiled(found)
    assert len(found) == 3

    def refuse(*_):
        raise AssertionError("a page that is done was extracted")

    monkeypatch.setattr(warc, "extract", refuse)
    assert list(read_documents(split, settings, LOCAL, [(0, found[-1].end)], piece_bytes=1)) == []


def test_a_sample_refuses_what_is_no_warc(tmp_path):
    (tmp_path / "a.warc").write_bytes(b'{"text": "x"}')
    settings = InputConfig(path=str(tmp_path))
    with pytest.raises(BadRequest, match="not like WARC"):
        check_input(list_input(settings, LOCAL), settings, LOCAL)


def documents(path: Path) -> list[RecordHead]:
    """The heads of the documents in a file, without the cost of their texts."""
    settings = InputConfig(path=str(path))
    (split,) = split_input(list_input(settings, LOCAL), settings)
    with open(path, "rb") as handle:
        return [found.payload.head for found in warc.Warc(split, settings).records(handle)]


def test_every_document_of_real_crawls_is_found(shared_data):
    fastwarc = pytest.importorskip("fastwarc.warc")
    kinds = fastwarc.WarcRecordType.response | fastwarc.WarcRecordType.resource | fastwarc.WarcRecordType.conversion
    torn = ("example-trunc.warc", "clipped.warc.gz")
    for path in sorted((shared_data / "web_warc").glob("*/*.w*")):
        if ".wat" not in path.name and path.name not in torn:
            with open(path, "rb") as file:
                seen = fastwarc.ArchiveIterator(file, record_types=kinds, parse_http=False)
                assert [found.id for found in documents(path)] == [found.record_id for found in seen], path


def test_broken_real_records_are_rejected_by_name(shared_data):
    folder = shared_data / "web_warc"
    for name in ("resiliparse/clipped.warc.gz", "warcio/example-trunc.warc"):
        row, *lacking = rows(folder / name)
        assert row["reason"] == "broken_record" and row["document_id"] in row["detail"]
        assert [other["reason"] for other in lacking] == ["corrupt_file"] * ("clipped" in name)
    # Packed as a whole, with header fields of a transfer that is over, or of a longer one: the page is closed in both.
    for name in ("warcio/example-bad-non-chunked.warc.gz", "warcio/example-wrong-chunks.warc.gz"):
        assert outcome(rows(folder / name))[0][1] is None
    assert {reason for _, reason in outcome(rows(folder / "resiliparse/clueweb-quirk.warc.gz"))} == {None}


def test_real_arc_files_hold_the_same_crawl_as_their_warc_twin(shared_data):
    arc, twin = (documents(shared_data / "web_warc" / "aut" / f"example.{kind}.gz") for kind in ("arc", "warc"))
    assert len(arc) == 299 and [(head.url, head.date) for head in arc] == [(head.url, head.date) for head in twin]
    bad = rows(shared_data / "web_warc" / "aut" / "badexample.arc.gz")
    assert [row["reason"] for row in bad] == ["not_html", None, *["broken_record"] * 3]


def test_a_real_crawl_cut_into_small_pieces_is_tiled(shared_data):
    assert_tiled(pieces(shared_data / "web_warc" / "resiliparse" / "warcfile.warc.lz4", piece_bytes=1000))


def test_a_whole_record_of_a_page_is_its_text_and_where_it_is_from(tmp_path):
    path = write(tmp_path, [record(http("first"), id=1), record(http("gone", "404 Not Found"), id=2)])
    first, second = rows(path, text_column=None)
    (plain,) = rows(write(tmp_path, [record(http("first"), id=1)]))
    assert json.loads(first["text"]) == {"text": plain["text"]} | json.loads(plain["metadata"])
    assert (first["metadata"], first["document_id"]) == (None, plain["document_id"])
    assert (second["text"], second["reason"]) == (None, "http_status")
