import gzip
import json
import lzma
import random
import tempfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.errors import BadRequest
from operators.storage.base import CorruptFile
from operators.storage.config import InputConfig
from operators.storage.formats import line_records
from operators.storage.listing import list_input
from operators.storage.reading import check_input, made_id
from tests.operators.storage.documents import LOCAL, cut, read, reasons, rows


def write(folder: Path, content: bytes | str, name: str = "a.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_line_becomes_a_document_with_its_columns_as_metadata(tmp_path):
    line = '{"id": 7, "text": "한국어 글", "meta": {"url": "x", "n": [1, 2.5, null]}, "ok": true}'
    path = write(tmp_path, f"\ufeff{line}\n\n" + '{"text": "no id"}\r\n' + '{"id": null, "text": "null id"}')
    first, second, third = rows(path)
    assert (first["document_id"], first["text"], first["position"]) == ("7", "한국어 글", 0)
    assert first["metadata"] == '{"meta":{"url":"x","n":[1,2.5,null]},"ok":true}'
    assert (first["source_file"], first["stage"], first["reason"]) == ("a.jsonl", None, None)
    assert second["position"] == len(f"\ufeff{line}\n\n".encode()) and second["metadata"] is None
    assert second["document_id"] == made_id("a.jsonl", second["position"], "no id") != third["document_id"]


def test_metadata_is_json_whatever_is_in_the_row(tmp_path):
    odd = '"f": NaN, "g": [Infinity, {"h": -1e999}], "big": 123456789012345678901234567890'
    path = write(tmp_path, "".join(f'{{"text": "x", {odd}{more}}}\n' for more in ("", ', "s": "\\ud800"')))
    plain, half = (row["metadata"] for row in rows(path))
    assert plain == '{"f":null,"g":[null,{"h":null}],"big":123456789012345678901234567890}'
    assert half == plain[:-1] + ',"s":"\\ud800"}'


def test_ids_are_strings_and_may_repeat(tmp_path):
    ids = ['"a"', '"a"', "1.5", "true", '["x"]', '""']
    path = write(tmp_path, "".join(f'{{"key": {id}, "text": "t{i}"}}\n' for i, id in enumerate(ids)))
    found = [row["document_id"] for row in rows(path, id_column="key")]
    assert found[:5] == ["a", "a", "1.5", "true", '["x"]'] and len(found[5]) == 32


def test_ids_are_made_where_no_column_has_them_or_none_is_to(tmp_path):
    path = write(tmp_path, '{"id": 0, "text": "a"}\n{"text": "b"}\n')
    assert rows(path)[0]["document_id"] == "0"
    found = rows(path, id_column=None)
    assert [row["document_id"] for row in found] == [made_id("a.jsonl", row["position"], row["text"]) for row in found]
    assert found[0]["metadata"] == '{"id":0}'
    for config in ({}, {"id_column": None}, {"id_column": "id"}):
        settings = InputConfig(path=str(write(tmp_path, '{"text": "b"}\n')), **config)
        check_input(list_input(settings, LOCAL), settings, LOCAL)


def test_each_fault_rejects_its_own_line_with_its_reason(tmp_path):
    faults = [
        (b'{"text": null, "id": "n"}', "null_text"),
        (b'{"text": " \\n\\u3000"}', "empty_text"),
        (b'{"text": "caf\xe9"}', "invalid_utf8"),
        (b'{"text": "half \\ud800 pair"}', "invalid_utf8"),
        (b'{"text": "cut', "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b'["text"]', "not_an_object"),
        (b'"text"', "not_an_object"),
        (b'{"body": "x"}', "no_text_column"),
        (b'{"text": 5}', "text_not_a_string"),
        (b"\x00\xff\xfe", "invalid_utf8"),
        (b'{"text": "good", "score": NaN, "odd": "\\ud800", "big": 1e999}', None),
    ]
    path = write(tmp_path, b"\n".join(line for line, _ in faults))
    found = rows(path)
    assert [row["reason"] for row in found] == [reason for _, reason in faults]
    assert {row["stage"] for row in found} == {"read", None}
    assert found[0]["document_id"] == "n"
    offset = len(faults[0][0]) + len(faults[1][0]) + 2
    assert found[2]["detail"] == f"at byte {offset + 13} of the file: invalid continuation byte"
    assert json.loads(found[-1]["metadata"])["odd"] == "\ud800"


def test_every_line_of_a_file_of_garbage_is_accounted_for(tmp_path):
    garbage = random.Random(5).randbytes(300_000)
    path = write(tmp_path, garbage)
    lines_with_something = [line for line in garbage.split(b"\n") if line.strip()]
    found = rows(path)
    assert len(found) == len(lines_with_something) and all(row["reason"] for row in found)
    assert len({row["document_id"] for row in found}) == len(found)


def test_names_that_lie_of_packing_cost_no_document(tmp_path):
    content = "".join(json.dumps({"text": f"text {i} " * 50}) + "\n" for i in range(5000)).encode()
    expected = [(row["text"], row["position"]) for row in rows(write(tmp_path, content))]
    for name, packed in (
        ("a.jsonl.gz", content),
        ("b.jsonl", gzip.compress(content)),
        ("c.jsonl.xz", lzma.compress(content)),
    ):
        path = write(tmp_path, packed, name)
        assert [(row["text"], row["position"]) for row in rows(path)] == expected
        assert read(cut(path, "jsonl", [100, 5000, 12_000])) == rows(path)


def test_lines_in_utf_16_are_read_and_half_a_pair_costs_its_line(tmp_path):
    text = '\ufeff{"text": "글"}\n{"text": "' + "\ud800" + '"}\n{"text": "b"}\n'
    path = write(tmp_path, text.encode("utf-16-le", "surrogatepass"))
    assert [(row["text"], row["reason"]) for row in rows(path)] == [("글", None), (None, "invalid_utf8"), ("b", None)]
    check_input(list_input(InputConfig(str(path)), LOCAL), InputConfig(str(path)), LOCAL)


def test_files_with_byte_order_marks_may_be_joined(tmp_path):
    assert reasons(write(tmp_path, '\ufeff{"text": "a"}\n' * 3)) == [None] * 3


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_packed_lines_are_the_same_documents(tmp_path, pack):
    content = "".join(json.dumps({"text": f"text {i} " * 50}) + "\n" for i in range(500)).encode()
    ending = ".gz" if pack is gzip.compress else ".zst"
    plain, packed = write(tmp_path, content), write(tmp_path, pack(content), "a.jsonl" + ending)
    assert [(row["text"], row["position"]) for row in rows(packed)] == [(r["text"], r["position"]) for r in rows(plain)]


def test_a_torn_gzip_keeps_what_came_before_and_is_rejected_by_name(tmp_path):
    noise = random.Random(1)
    content = "".join(json.dumps({"text": f"{i} {noise.random()}"}) + "\n" for i in range(5000)).encode()
    packed = gzip.compress(content)
    good = write(tmp_path, '{"text": "good"}', "good.jsonl")
    for damaged in (
        packed[: len(packed) // 2],
        packed[: len(packed) // 2] + b"\xff" * 64 + packed[len(packed) // 2 + 64 :],
    ):
        torn = write(tmp_path, damaged, "torn.jsonl.gz")
        *kept, last = rows(torn)
        assert len(kept) > 2000 and [row["text"].split()[0] for row in kept] == [str(i) for i in range(len(kept))]
        assert (last["document_id"], last["reason"]) == ("torn.jsonl.gz", "corrupt_file")
        assert reasons(tmp_path)[0] is None
        with pytest.raises(CorruptFile, match=r"torn\.jsonl\.gz"):
            rows(torn, on_error="fail")
    assert reasons(good) == [None]


def test_a_line_that_is_too_long_to_hold_is_rejected_without_being_held(tmp_path, monkeypatch):
    monkeypatch.setattr(line_records, "MAX_RECORD", 1000)
    path = write(tmp_path, '{"text": "a"}\n' + "x" * 3_000_000 + '\n{"text": "b"}\n')
    assert reasons(path) == [None, "too_large", None]


def test_a_line_of_fifty_megabytes_is_one_document(tmp_path):
    text = "긴 줄 " * 7_000_000
    path = write(tmp_path, json.dumps({"text": text}, ensure_ascii=False) + '\n{"text": "short"}\n')
    assert [row["text"] for row in rows(path)] == [text, "short"]


def test_a_json_array_is_read_item_by_item(tmp_path):
    items = [{"text": "a", "n": 1.5}, {"text": None}, 3, {"text": "b", "id": "x"}]
    path = write(tmp_path, json.dumps(items, indent=2), "a.json")
    found = rows(path)
    assert [row["reason"] for row in found] == [None, "null_text", "not_an_object", None]
    assert [row["position"] for row in found] == [0, 1, 2, 3]
    assert found[0]["metadata"] == '{"n":1.5}' and found[3]["document_id"] == "x"
    broken = write(tmp_path, '[{"text": "a"}, {"text": "b"}, {"te', "b.json")
    assert reasons(broken) == [None, None, "corrupt_file"]
    assert reasons(write(tmp_path, '{"text": "a"}\n{"text": "b"}\n', "c.json")) == [None, None]


LINE = st.one_of(
    st.builds(lambda text: json.dumps({"text": text}, ensure_ascii=False).encode(), st.text(max_size=40)),
    st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(LINE, max_size=12), st.booleans(), st.lists(st.integers(0, 10_000), max_size=6))
def test_splits_of_any_size_give_the_same_documents_at_the_same_positions(content, ends, borders):
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), b"\n".join(content) + (b"\n" if ends else b"") + b'{"text": "last"}')
        for format in ("jsonl", "lines"):
            assert read(cut(path, format, borders)) == read(cut(path, format, []))


@pytest.mark.parametrize(
    ("content", "config", "says"),
    [
        ('{"body": "x", "url": "y"}\n', {}, r"no column 'text' in .*There are: body, url\..*input\.text_column"),
        ('{"txt": "x"}\n', {}, "Did you mean 'txt'"),
        ('{"text": "x"}\n', {"id_column": "key"}, r"no column 'key'.*input\.id_column"),
        (b"PAR1\x15\x04\x15", {}, "begins like parquet"),
        ("a,b\n1,2\n", {}, "no JSON object in its first 2 lines; the first begins b'a,b'"),
    ],
)
def test_a_sample_refuses_what_no_line_of_it_can_satisfy(tmp_path, content, config, says):
    settings = InputConfig(path=str(write(tmp_path, content)), **config)
    with pytest.raises(BadRequest, match=says):
        check_input(list_input(settings, LOCAL), settings, LOCAL)


def test_a_sample_passes_over_broken_files_to_one_that_can_be_read(tmp_path):
    write(tmp_path, b"\0\1 neither gzip nor text", "a.jsonl.gz")
    write(tmp_path, "garbage\n", "b.jsonl")
    write(tmp_path, "", "c.jsonl")
    settings = InputConfig(path=str(tmp_path))
    write(tmp_path, '{"text": "x"}\n', "d.jsonl")
    check_input(list_input(settings, LOCAL), settings, LOCAL)
    assert reasons(tmp_path) == ["corrupt_file", "invalid_json", None]


def test_real_web_text_of_several_pipelines_is_read(shared_data):
    found = rows(shared_data / "web_cc_text")
    assert len(found) == 1000 + 300 + 1 + 10 + 10 + 10 + 5 * 10
    assert [row["reason"] for row in found].count(None) == len(found)
    dolma = next(row for row in found if row["source_file"] == "dolma_documents_000.json.gz")
    assert {"source", "added", "created"} <= set(json.loads(dolma["metadata"]))


def test_a_real_encyclopedia_is_read_whole(shared_data):
    found = rows(shared_data / "wiki_en" / "wiki_en_00-of-04.jsonl.gz")
    assert len(found) == 9136 and {row["reason"] for row in found} == {None}
    planted = rows(shared_data / "dedup_known" / "planted_wiki.jsonl.gz")
    assert len(planted) == 7400


def test_a_whole_record_is_the_line_as_it_stands(tmp_path):
    lines = ['{"id": 7, "b" : [1.50, {"x": "\\ud800"}], "text": null}', '{ "c": NaN, "c": 1e999, "ü": "가" }', "{}"]
    found = rows(write(tmp_path, "\ufeff" + " \r\n".join(lines) + "\n"), text_column=None)
    assert [row["text"] for row in found] == lines
    assert {row["metadata"] for row in found} == {row["reason"] for row in found} == {None}
    assert found[0]["document_id"] == "7"
    assert found[1]["document_id"] == made_id("a.jsonl", found[1]["position"], lines[1])


def test_lines_that_are_no_records_keep_their_reasons(tmp_path):
    faults = [b'{"a": "caf\xe9"}', b'{"a": "cut', b'["a"]', b'"a"', b'{"id": "\\ud800", "a": 1}', b'{"a": 1}']
    expected = ["invalid_utf8", "invalid_json", "not_an_object", "not_an_object", "invalid_utf8", None]
    assert reasons(write(tmp_path, b"\n".join(faults)), text_column=None) == expected


def test_whole_records_of_an_array_are_its_items(tmp_path):
    items = [{"id": "a", "messages": [{"role": "user", "content": "가\n"}], "big": 2**62}, {"odd": [None, 1.5]}, 5]
    found = rows(write(tmp_path, json.dumps(items, indent=2), "a.json"), text_column=None)
    assert [json.loads(row["text"]) for row in found[:2]] == items[:2] and found[0]["document_id"] == "a"
    assert [row["reason"] for row in found] == [None, None, "not_an_object"]
    assert all("\n" not in row["text"] for row in found[:2])


def test_whole_records_need_no_text_column_but_the_id_column(tmp_path):
    path = write(tmp_path, '{"body": "x"}\n')
    check_input(list_input(InputConfig(str(path)), LOCAL), InputConfig(str(path), text_column=None), LOCAL)
    with pytest.raises(BadRequest, match=r"no column 'key' in .*There are: body\..*input\.id_column"):
        check_input(
            list_input(InputConfig(str(path)), LOCAL), InputConfig(str(path), text_column=None, id_column="key"), LOCAL
        )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=4), st.integers(1, 300))
def test_whole_records_are_the_same_however_the_file_is_cut(borders, size):
    with tempfile.TemporaryDirectory() as folder:
        lines = "".join(json.dumps({"n": n, "said": ["word"] * (n * size % 7)}) + "\n" for n in range(20))
        path = write(Path(folder), lines)
        assert [row["text"] for row in read(cut(path, "jsonl", borders), text_column=None)] == lines.splitlines()
