import bz2
import datetime
import decimal
import gzip
import io
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.errors import BadRequest
from operators.storage.base import CorruptFile
from operators.storage.config import InputConfig
from operators.storage.filesystem import open_filesystem
from operators.storage.formats import parquet
from operators.storage.formats.parquet import Parquet
from operators.storage.listing import list_input, split_input
from operators.storage.reading import check_input, made_id, read_documents
from operators.storage.watched import Watched
from tests.operators.storage.documents import LOCAL, assert_tiled, cut, read, reasons, rows


def write(folder: Path, columns: dict, name: str = "a.parquet", **options) -> Path:
    pq.write_table(pa.table(columns), folder / name, **options)
    return folder / name


def bad_utf8(*texts: bytes) -> pa.Array:
    return pa.array(texts, pa.binary()).view(pa.string())


def test_a_row_becomes_a_document_at_its_number(tmp_path):
    path = write(tmp_path, {"id": [5, None], "text": ["하나", "둘"], "url": ["u", None]})
    first, second = rows(path)
    assert (first["document_id"], first["text"], first["position"]) == ("5", "하나", 0)
    assert (first["metadata"], second["metadata"]) == ('{"url":"u"}', '{"url":null}')
    assert (second["document_id"], second["position"]) == (made_id("a.parquet", 1, "둘"), 1)


def test_ids_are_made_where_no_column_is_to_have_them(tmp_path):
    (row,) = rows(write(tmp_path, {"id": [5], "text": ["x"]}), id_column=None)
    assert (row["document_id"], row["metadata"]) == (made_id("a.parquet", 0, "x"), '{"id":5}')


def test_texts_of_any_arrow_type_are_read(tmp_path):
    for type in (pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())):
        path = write(tmp_path, {"text": pa.array(["a", "b", "a"]).cast(type)})
        assert [row["text"] for row in rows(path)] == ["a", "b", "a"]


@pytest.mark.parametrize("name", ["a.parquet", "a.parquet.gz", "a.parquet.zst"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
def test_a_file_is_unpacked_whatever_its_name_says(tmp_path, monkeypatch, name, pack):
    texts = [f"text {number} " * 50 for number in range(100)]
    plain = write(tmp_path, {"text": texts}, row_group_size=10).read_bytes()
    path = tmp_path / name
    path.write_bytes(pack(plain))
    for held in (parquet.HELD, 10):  # the second as one that is too large to be held
        monkeypatch.setattr(parquet, "HELD", held)
        found = read(cut(path, "parquet", [] if name != "a.parquet" else [20, 300]))
        assert [(row["position"], row["text"]) for row in found] == list(enumerate(texts))
        check_input(list_input(InputConfig(str(path)), LOCAL), InputConfig(str(path)), LOCAL)
        with pytest.raises(BadRequest, match="no column 'body'"):
            check_input(list_input(InputConfig(str(path)), LOCAL), InputConfig(str(path), text_column="body"), LOCAL)


def test_a_packed_file_that_cannot_be_unpacked_says_why(tmp_path, monkeypatch):
    packed = gzip.compress(write(tmp_path, {"text": ["a"] * 100}).read_bytes())
    path = tmp_path / "a.parquet"
    path.write_bytes(packed[:-20])
    (row,) = rows(path)
    assert (row["reason"], "it cannot be unpacked, at byte " in row["detail"]) == ("corrupt_file", True)
    with pytest.raises(CorruptFile, match=r"a\.parquet"):
        rows(path, on_error="fail")
    path.write_bytes(packed)
    monkeypatch.setattr(parquet, "MOST_UNPACKED", 100)
    (row,) = rows(path)
    assert (row["reason"], row["detail"]) == (
        "unreadable_file",
        "it has more than 100 bytes unpacked: give it unpacked",
    )


def test_rows_that_the_footer_counts_and_no_group_has_are_told(tmp_path):
    path = write(tmp_path, {"text": ["a"] * 7})
    content = path.read_bytes()
    at = content.rindex(bytes([0x16, 14]))  # a field of 64 bits that holds 7: the rows of the last row group
    path.write_bytes(content[:at] + bytes([0x16, 12]) + content[at + 2 :])
    *kept, last = rows(path)
    assert [row["text"] for row in kept] == ["a"] * 6
    assert (last["reason"], last["detail"]) == ("corrupt_file", "the footer tells of 7 rows, and of row groups with 6")


def alike(folder: Path, *columns: tuple[str, list]) -> Path:
    names, values = zip(*columns, strict=True)
    table = pa.table(list(values), names=list(names))
    pq.write_table(table, folder / "a.parquet")
    return folder / "a.parquet"


def test_columns_of_one_name_are_told_apart_and_cost_no_text(tmp_path):
    path = alike(tmp_path, ("text", ["x"]), ("n", [1]), ("n", [2]), ("n_2", [3]), ("id", ["a"]), ("id", ["b"]))
    (row,) = rows(path)
    assert (row["text"], row["reason"]) == ("x", None)
    assert json.loads(row["metadata"]) == {"n_1": 1, "n_3": 2, "n_2": 3, "id_1": "a", "id_2": "b"}
    assert row["document_id"] == made_id("a.parquet", 0, "x")
    (whole,) = rows(path, text_column=None)
    assert json.loads(whole["text"]) == {"text": "x", "n_1": 1, "n_3": 2, "n_2": 3, "id_1": "a", "id_2": "b"}


def test_texts_that_two_columns_claim_are_rejected_row_by_row(tmp_path):
    path = alike(tmp_path, ("text", ["x", "y"]), ("text", ["z", None]), ("id", ["a", "b"]))
    found = rows(path)
    assert [(row["document_id"], row["reason"]) for row in found] == [
        ("a", "ambiguous_column"),
        ("b", "ambiguous_column"),
    ]
    assert found[0]["detail"] == "2 columns are called 'text'"
    assert json.loads(found[0]["metadata"]) == {"text_1": "x", "text_2": "z"}
    with pytest.raises(BadRequest, match=r"2 columns of .*a\.parquet are called 'text'.*Set input\.text_column"):
        check_input(list_input(InputConfig(str(path)), LOCAL), InputConfig(str(path)), LOCAL)
    (tmp_path / "b.jsonl").write_text('{"text": "x"}')
    check_input(list_input(InputConfig(str(tmp_path)), LOCAL), InputConfig(str(tmp_path)), LOCAL)


def test_a_struct_with_a_name_twice_is_kept(tmp_path):
    struct = pa.StructArray.from_arrays([pa.array(["x"]), pa.array([2**62]).cast(pa.timestamp("us"))], names=["a", "a"])
    assert json.loads(rows(write(tmp_path, {"text": ["t"], "s": struct}))[0]["metadata"]) == {
        "s": {"a_1": "x", "a_2": None}
    }


def test_every_row_group_lies_in_the_file_whatever_a_footer_says_of_its_size():
    assert parquet._begins([10, 20, 70], 1000) == [0, 99, 297]
    assert parquet._begins([0, 0], 1000) == [0, 0] and parquet._begins([], 5) == []
    assert all(0 <= begin < 1000 for begin in parquet._begins([2**62, -5, 2**62, 1], 1000))


def test_lost_rows_are_told_one_by_one_unless_a_footer_tells_of_very_many(monkeypatch):
    monkeypatch.setattr(parquet, "MOST_ROWS", 5)
    assert [record.position for record in parquet._lost(2, 7, "why")] == [2, 3, 4, 5, 6]
    (lost,) = parquet._lost(2, 8, "why")
    assert (lost.position, lost.payload.reason) == (2, "corrupt_file") and "rows 2 to 7" in lost.payload.detail


def test_faulty_rows_leave_with_their_reasons(tmp_path):
    assert reasons(write(tmp_path, {"text": [None, " ", "x"]})) == ["null_text", "empty_text", None]
    assert reasons(write(tmp_path, {"text": bad_utf8(b"a\xff", b"b")})) == ["invalid_utf8", None]
    assert reasons(write(tmp_path, {"text": [1, 2]})) == ["text_not_a_string"] * 2
    assert reasons(write(tmp_path, {"body": ["x"]})) == ["no_text_column"]
    assert reasons(write(tmp_path, {"text": pa.nulls(2)})) == ["null_text"] * 2
    assert reasons(write(tmp_path, {"text": pa.array([], pa.string())})) == []


def test_unusual_columns_become_metadata(tmp_path):
    columns = {
        "text": ["x"],
        "time": [datetime.datetime(2024, 5, 6, 7, 8, 9)],
        "nanoseconds": pa.array([1], pa.timestamp("ns")),
        "beyond": pa.array([2**62], pa.timestamp("us")),
        "raw": [b"\xff\x00"],
        "price": [decimal.Decimal("1.10")],
        "nan": [float("nan")],
        "nested": [{"a": [1, None]}],
        "odd": bad_utf8(b"a\xff"),
    }
    metadata = json.loads(rows(write(tmp_path, columns, coerce_timestamps=None))[0]["metadata"])
    assert metadata == {
        "time": "2024-05-06T07:08:09",
        "nanoseconds": "1970-01-01T00:00:00.000000001",
        "beyond": None,
        "raw": "/wA=",
        "price": "1.10",
        "nan": None,
        "nested": {"a": [1, None]},
        "odd": "a\ufffd",
    }


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 40), st.integers(1, 9), st.lists(st.integers(0, 10_000), max_size=5))
def test_splits_of_any_size_give_the_same_documents_at_the_same_positions(count, group, borders):
    with tempfile.TemporaryDirectory() as folder:
        texts = pa.array([f"text {i} " * (i % 5) for i in range(count)], pa.string())
        path = write(Path(folder), {"text": texts, "n": range(count)}, row_group_size=group)
        found = read(cut(path, "parquet", borders))
        assert found == read(cut(path, "parquet", []))
        assert [row["position"] for row in found] == list(range(count))


def test_a_broken_row_group_costs_its_own_rows_and_says_which(tmp_path):
    texts = [f"text number {i} " * 20 for i in range(300)]
    path = write(tmp_path, {"text": texts}, row_group_size=100, use_dictionary=False, compression="zstd")
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    content = bytearray(path.read_bytes())
    begin = column.data_page_offset
    content[begin : begin + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(content)
    found = rows(path)
    assert [row["position"] for row in found if row["reason"] is None] == [*range(100), *range(200, 300)]
    lost = [row for row in found if row["reason"]]
    assert [(row["position"], row["reason"]) for row in lost] == [(place, "broken_record") for place in range(100, 200)]
    assert lost[7]["detail"].startswith("row 107 of rows 100 to 199, which are lost: ")
    assert len({row["document_id"] for row in lost}) == 100
    assert read(cut(path, "parquet", [1000, 2500])) == found
    with pytest.raises(CorruptFile, match=r"a\.parquet"):
        rows(path, on_error="fail")


def test_a_file_without_a_footer_is_rejected_by_name_however_it_is_cut(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1" + b"garbage" * 100)
    assert [(row["document_id"], row["reason"]) for row in read(cut(path, "parquet", [100, 200]))] == [
        ("a.parquet", "corrupt_file")
    ]
    path.write_bytes(b"")
    assert reasons(path) == ["corrupt_file"]


def test_a_sample_refuses_a_wrong_file_or_column(tmp_path):
    def check(path, **config):
        settings = InputConfig(path=str(path), **config)
        check_input(list_input(settings, LOCAL), settings, LOCAL)

    with pytest.raises(BadRequest, match=r"no column 'text' in .*a\.parquet\. There are: body, url"):
        check(write(tmp_path, {"body": ["x"], "url": ["y"]}))
    with pytest.raises(BadRequest, match=r"holds int64, not text"):
        check(write(tmp_path, {"text": [1]}))
    with pytest.raises(BadRequest, match=r"begins like parquet"):
        check(write(tmp_path, {"text": ["x"]}), format="jsonl")
    (tmp_path / "b.parquet").write_bytes(b'{"text": "x"}\n')
    with pytest.raises(BadRequest, match="not like parquet"):
        check(tmp_path / "b.parquet")
    check(tmp_path)


def test_a_storage_that_fails_is_an_error_and_no_damage_of_the_file(tmp_path):
    class Failing(io.BytesIO):
        def read(self, size=-1):
            raise OSError("the network is down")

    path = write(tmp_path, {"text": ["x"]})
    (split,) = cut(path, "parquet", [])
    with pytest.raises(OSError, match="the network is down"):
        list(Parquet(split, InputConfig()).records(Watched(Failing(path.read_bytes()))))


def test_parquet_is_read_from_s3(s3, tmp_path):
    local = write(tmp_path, {"text": [f"text {i}" for i in range(1000)]}, row_group_size=100)
    url = f"s3://corpus/{tmp_path.name}/a.parquet"
    filesystem, path = open_filesystem(url, s3)
    filesystem.pipe_file(path, local.read_bytes())
    config = InputConfig(path=url)
    files = list_input(config, s3)
    check_input(files, config, s3)
    (split,) = split_input(files, config)
    found = [row for piece in read_documents(split, config, s3) for row in piece.documents.to_pylist()]
    assert found == rows(local)


def test_a_whole_record_is_all_columns_as_json(tmp_path):
    messages = [[{"role": "user", "content": "하나\n"}, {"role": "assistant", "content": "둘"}], None]
    path = write(
        tmp_path, {"id": [5, 6], "text": ["x", None], "messages": messages, "when": [datetime.date(2024, 5, 6)] * 2}
    )
    first, second = rows(path, text_column=None)
    assert json.loads(first["text"]) == {"id": 5, "text": "x", "messages": messages[0], "when": "2024-05-06"}
    assert json.loads(second["text"]) == {"id": 6, "text": None, "messages": None, "when": "2024-05-06"}
    assert (first["document_id"], first["metadata"], first["reason"]) == ("5", None, None)
    assert "\n" not in first["text"]


def test_a_whole_record_with_a_string_that_is_none_leaves_alone(tmp_path):
    nested = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), bad_utf8(b"a\xff", b"b"))
    assert reasons(write(tmp_path, {"said": nested}), text_column=None) == ["invalid_utf8", None]
    assert reasons(write(tmp_path, {"said": bad_utf8(b"a\xff", b"b")}), text_column=None) == ["invalid_utf8", None]


def test_a_whole_record_with_a_time_beyond_all_keeps_the_rest(tmp_path):
    path = write(tmp_path, {"said": ["x"], "beyond": pa.array([2**62], pa.timestamp("us"))})
    (row,) = rows(path, text_column=None)
    assert json.loads(row["text"])["said"] == "x" and row["reason"] is None


def test_whole_records_need_no_text_column(tmp_path):
    path = write(tmp_path, {"messages": [["x"]]})
    with pytest.raises(BadRequest, match="no column 'text'"):
        check_input(list_input(InputConfig(str(path)), LOCAL), InputConfig(str(path)), LOCAL)
    check_input(list_input(InputConfig(str(path)), LOCAL), InputConfig(str(path), text_column=None), LOCAL)


def test_whole_records_come_in_pieces_of_bounded_size(tmp_path):
    path = write(tmp_path, {"said": ["word " * 200] * 300}, row_group_size=100)
    settings = InputConfig(str(path), text_column=None)
    (split,) = split_input(list_input(settings, LOCAL), settings)
    found = list(read_documents(split, settings, LOCAL, piece_bytes=20_000))
    assert_tiled(found)
    assert max(piece.documents["text"].nbytes for piece in found) < 40_000
    assert [position for piece in found for position in piece.documents["position"].to_pylist()] == list(range(300))
