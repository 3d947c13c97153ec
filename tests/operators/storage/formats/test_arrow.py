import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pytest

from operators.errors import BadRequest
from operators.storage.base import CorruptFile
from operators.storage.config import InputConfig
from operators.storage.listing import list_input
from operators.storage.reading import check_input
from tests.operators.storage.documents import LOCAL, pieces, reasons, rows

TEXTS = [f"text {number} " * 5 for number in range(10)]


def packed(columns: dict | pa.Table, batch: int = 3, footer: bool = False) -> bytes:
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    sink = pa.BufferOutputStream()
    with (pa.ipc.new_file if footer else pa.ipc.new_stream)(sink, table.schema) as writer:
        writer.write_table(table, batch)
    return sink.getvalue().to_pybytes()


def write(folder: Path, content: bytes, name: str = "a.arrow") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize("footer", [False, True])
def test_rows_of_both_kinds_of_file_are_read_in_order(tmp_path, footer):
    path = write(tmp_path, packed({"id": range(10), "text": TEXTS, "n": [[1]] * 10}, footer=footer))
    found = rows(path)
    assert [(row["document_id"], row["position"], row["text"]) for row in found] == [
        (str(number), number, text) for number, text in enumerate(TEXTS)
    ]
    assert found[0]["metadata"] == '{"n":[1]}'
    check_input(list_input(InputConfig(str(path)), LOCAL), InputConfig(str(path)), LOCAL)
    assert json.loads(rows(path, text_column=None)[1]["text"]) == {"id": 1, "text": TEXTS[1], "n": [1]}
    assert [row["text"] for row in rows(write(tmp_path, gzip.compress(path.read_bytes()), "a.arrow.gz"))] == TEXTS


def test_feather_is_read_whatever_its_codec(tmp_path):
    for codec in ("uncompressed", "lz4", "zstd"):
        pyarrow.feather.write_feather(pa.table({"text": TEXTS}), tmp_path / "a.feather", compression=codec)
        assert [row["text"] for row in rows(tmp_path)] == TEXTS


def test_columns_of_any_type_are_read(tmp_path):
    columns = {
        "text": pa.array(["a", "b"]).dictionary_encode(),
        "view": pa.array(["x", None], pa.string_view()),
        "runs": pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array(["r"])),
        "lists": pa.array([["p"], []], pa.list_view(pa.string())),
    }
    path = write(tmp_path, packed(columns))
    assert [row["text"] for row in rows(path)] == ["a", "b"]
    assert json.loads(rows(path)[1]["metadata"]) == {"view": None, "runs": "r", "lists": []}
    for type in (pa.string_view(), pa.large_binary(), pa.json_(), pa.run_end_encoded(pa.int32(), pa.string())):
        values = pa.array(["a", "b"])
        typed = (
            pa.RunEndEncodedArray.from_arrays(pa.array([1, 2], pa.int32()), values) if "run" in str(type) else values
        )
        column = (
            typed
            if "run" in str(type)
            else pa.ExtensionArray.from_storage(type, values)
            if "json" in str(type)
            else values.cast(type)
        )
        assert [row["text"] for row in rows(write(tmp_path, packed({"text": column})))] == ["a", "b"]


@pytest.mark.parametrize("footer", [False, True])
def test_a_file_that_is_cut_off_gives_what_it_has_and_tells_of_the_rest(tmp_path, footer):
    whole = packed({"text": TEXTS}, footer=footer)
    for lacking in (1, 8, len(whole) // 3, len(whole) - 200):
        *kept, last = rows(write(tmp_path, whole[:-lacking]))
        assert [row["text"] for row in kept] == TEXTS[: len(kept)]
        assert (last["reason"], last["position"]) == ("corrupt_file", len(kept))
        assert last["detail"].startswith(f"after {len(kept)} rows: ")
    with pytest.raises(CorruptFile, match=r"a\.arrow"):
        rows(tmp_path, on_error="fail")


def test_streams_that_were_joined_are_all_read(tmp_path):
    path = write(tmp_path, packed({"text": TEXTS}) + packed({"text": ["b"], "x": [1]}))
    assert [row["text"] for row in rows(path)] == [*TEXTS, "b"]
    assert reasons(write(tmp_path, packed({"text": ["a"]}) + b"garbage")) == [None, "corrupt_file"]


def test_files_with_footers_that_were_joined_are_all_read(tmp_path):
    one, two = packed({"text": TEXTS}, footer=True), packed({"text": ["b"]}, footer=True)
    assert [row["text"] for row in rows(write(tmp_path, one + two + packed({"text": ["c"]})))] == [*TEXTS, "b", "c"]
    *kept, last = rows(write(tmp_path, one + two[:-3]))
    assert [row["text"] for row in kept] == [*TEXTS, "b"]
    assert last["detail"].startswith("after 11 rows: ") and last["detail"].endswith("the file is cut off in its footer")


@pytest.mark.parametrize("footer", [False, True])
@pytest.mark.parametrize("name", ["a.arrow.gz", "a.arrow.zst", "a.feather.bz2", "a.arrow.lz4"])
def test_a_plain_file_whose_name_says_that_it_is_packed_is_read(tmp_path, footer, name):
    assert [row["text"] for row in rows(write(tmp_path, packed({"text": TEXTS}, footer=footer), name))] == TEXTS


@pytest.mark.parametrize("footer", [False, True])
def test_a_file_whose_packing_is_broken_at_its_start_or_at_a_seam_says_so(tmp_path, footer):
    whole = gzip.compress(packed({"text": TEXTS}, footer=footer))
    broken = whole[:12] + b"\xff\xff\xff" + whole[15:]
    for content, kept in [(broken, []), (whole[:10], []), (whole + broken, TEXTS), (whole + whole[:10], TEXTS)]:
        path = write(tmp_path, content, "a.arrow.gz")
        *before, last = rows(path)
        assert ([row["text"] for row in before], last["reason"]) == (kept, "corrupt_file")
        with pytest.raises(CorruptFile, match=r"a\.arrow\.gz"):
            rows(path, on_error="fail")


def test_values_that_lie_outside_of_their_batch_cost_their_rows(tmp_path):
    offsets = pa.array([0, 1, 2, 3], pa.int32()).buffers()[1].to_pybytes()
    content = packed({"text": ["a", "b", "c"]})
    assert content.count(offsets) == 1
    broken = pa.array([0, 1, 2, 2**30], pa.int32()).buffers()[1].to_pybytes()
    found = rows(write(tmp_path, content.replace(offsets, broken)))
    assert [(row["text"], row["reason"]) for row in found] == [("a", None), ("b", None), (None, "broken_record")]
    assert "row 2: " in found[2]["detail"]


def test_a_large_batch_comes_in_pieces_of_bounded_size(tmp_path):
    path = write(tmp_path, packed({"text": ["word " * 200] * 300}, batch=300))
    found = pieces(path, piece_bytes=20_000)
    assert max(piece.documents["text"].nbytes for piece in found) < 40_000
    assert sum(len(piece.documents) for piece in found) == 300


def test_a_sample_refuses_what_is_no_arrow_or_has_no_text(tmp_path):
    def check(content: bytes):
        settings = InputConfig(str(write(tmp_path, content)))
        check_input(list_input(settings, LOCAL), settings, LOCAL)

    with pytest.raises(BadRequest, match="not like Arrow"):
        check(b'{"text": "x"}\n')
    with pytest.raises(BadRequest, match="no column 'text'"):
        check(packed({"body": ["x"]}))
    with pytest.raises(BadRequest, match="Feather of version 1"):
        check(b"FEA1\0\0\0\0")
    check(b"")
    check(packed({"text": ["x"]})[:30])


def test_what_the_library_datasets_has_saved_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_dict({"text": TEXTS, "label": [0, 1] * 5})
    made.save_to_disk(tmp_path / "one", num_shards=2)
    split = datasets.DatasetDict({"train": made.select(range(6)).shuffle(seed=1), "test": made.select(range(6, 10))})
    split.save_to_disk(tmp_path / "both")
    assert [row["text"] for row in rows(tmp_path / "one")] == TEXTS
    found = rows(tmp_path / "both")
    assert sorted(row["text"] for row in found) == TEXTS and {row["reason"] for row in found} == {None}
    assert {row["source_file"].partition("/")[0] for row in found} == {"train", "test"}
    loaded = datasets.load_from_disk(str(tmp_path / "one"))
    loaded.map(lambda row: {"text": row["text"] + "twice"}, load_from_cache_file=True)
    (tmp_path / "one" / "cache-0123456789abcdef.arrow").write_bytes(packed({"text": ["made of the data"]}))
    assert [row["text"] for row in rows(tmp_path / "one")] == TEXTS
