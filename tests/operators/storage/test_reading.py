import json
import os
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.errors import BadRequest
from operators.storage.base import END, CorruptFile
from operators.storage.config import InputConfig
from operators.storage.filesystem import open_filesystem
from operators.storage.formats import jsonl
from operators.storage.listing import list_input, split_input
from operators.storage.reading import check_input, read_documents
from operators.storage.registry import FORMATS
from operators.table import DOCUMENTS
from tests.operators.storage.documents import LOCAL, assert_tiled, cut, pieces, reasons, rows


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "a.jsonl"
    sizes = [1, 10, 500, 3, 2000, 1, 1, 40, 90, 5000, 2]
    path.write_text("".join(json.dumps({"text": "x" * size}) + "\n" for size in sizes))
    return path


@given(st.integers(1, 4000), st.lists(st.integers(0, 10_000), max_size=4))
def test_pieces_tile_every_split(corpus, piece_bytes, borders):
    settings = InputConfig()
    count = 0
    for split in cut(corpus, "jsonl", borders):
        found = list(read_documents(split, settings, LOCAL, piece_bytes=piece_bytes))
        assert_tiled(found)
        count += sum(len(piece.documents) for piece in found)
    assert count == 11


def test_a_document_above_the_size_of_a_piece_is_a_piece_of_its_own(corpus):
    found = pieces(corpus, piece_bytes=1000)
    lengths = [[len(row["text"]) for row in piece.documents.to_pylist()] for piece in found]
    assert [2000] in lengths and [5000] in lengths


def test_a_split_without_documents_is_one_empty_piece(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"\n\n")
    (piece,) = pieces(tmp_path)
    assert (piece.begin, piece.end, len(piece.documents)) == (0, END, 0) and piece.documents.schema == DOCUMENTS


@given(st.sets(st.integers(0, 30)))
def test_what_is_done_is_not_yielded_and_moves_no_border(corpus, chosen):
    (split,) = cut(corpus, "jsonl", [])
    everything = list(read_documents(split, InputConfig(), LOCAL, piece_bytes=300))
    done = [(piece.begin, piece.end) for index, piece in enumerate(everything) if index in chosen]
    left = list(read_documents(split, InputConfig(), LOCAL, done, piece_bytes=300))
    assert left == [piece for index, piece in enumerate(everything) if index not in chosen]


def test_what_is_done_is_not_decoded(corpus, monkeypatch):
    decoded = []
    decode = jsonl._decode
    monkeypatch.setattr(jsonl, "_decode", lambda line: decoded.append(line) or decode(line))
    (split,) = cut(corpus, "jsonl", [])
    found = list(read_documents(split, InputConfig(), LOCAL, piece_bytes=300))
    assert len(decoded) == 1 + 11  # the first line tells that it is lines
    decoded.clear()
    list(read_documents(split, InputConfig(), LOCAL, [(0, found[-1].begin)], piece_bytes=300))
    assert len(decoded) == 1 + len(found[-1].documents)


def test_a_file_that_cannot_be_opened_is_rejected_by_name(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "x"}')
    os.symlink(tmp_path / "nowhere", tmp_path / "b.jsonl")
    found = rows(tmp_path)
    assert [(row["document_id"], row["reason"]) for row in found][1] == ("b.jsonl", "unreadable_file")
    with pytest.raises(CorruptFile, match=r"b\.jsonl"):
        rows(tmp_path, on_error="fail")
    settings = InputConfig(path=str(tmp_path))
    check_input(list_input(settings, LOCAL), settings, LOCAL)


class Faulty(jsonl.Jsonl):
    """A reader that raises: on its third record, on the rows that say so, and when it is asked for a sample."""

    def records(self, handle):
        for number, record in enumerate(super().records(handle)):
            if number == 2:
                raise KeyError("a mistake of a reader")
            yield record

    def row(self, payload):
        if b"odd" in payload[1]:
            raise RuntimeError("an odd record \ud800")
        return super().row(payload)

    def check(self, handle):
        raise KeyError("a mistake of a reader")


def test_whatever_a_reader_raises_costs_that_record_or_the_rest_of_that_file(tmp_path, monkeypatch):
    monkeypatch.setitem(FORMATS, "faulty", "tests.operators.storage.test_reading:Faulty")
    line = '{"text": "x"}\n'
    (tmp_path / "a.jsonl").write_text(line + '{"text": "odd"}\n' + line * 3)
    (tmp_path / "b.jsonl").write_text(line)
    settings = InputConfig(path=str(tmp_path), format="faulty")
    files = list_input(settings, LOCAL)
    found = [
        row
        for split in split_input(files, settings)
        for piece in read_documents(split, settings, LOCAL)
        for row in piece.documents.to_pylist()
    ]
    assert [(row["source_file"], row["reason"]) for row in found] == [
        ("a.jsonl", None),
        ("a.jsonl", "error"),
        ("a.jsonl", "unreadable_file"),
        ("b.jsonl", None),
    ]
    assert found[1]["detail"] == "RuntimeError: an odd record \\ud800"
    assert found[2]["detail"] == "from position 15 on: KeyError: 'a mistake of a reader'"
    assert found[2]["position"] == 15 and found[2]["document_id"] == "a.jsonl"
    check_input(files, settings, LOCAL)
    with pytest.raises(CorruptFile, match="a mistake of a reader"):
        rows(tmp_path, format="faulty", on_error="fail")


def test_a_first_file_that_lacks_the_column_does_not_stop_the_others(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"body": "x"}\n')
    (tmp_path / "b.parquet").write_text('{"text": "x"}\n')
    settings = InputConfig(path=str(tmp_path))
    with pytest.raises(BadRequest, match=r"no column 'text' in .*a\.jsonl"):
        check_input(list_input(settings, LOCAL), settings, LOCAL)
    (tmp_path / "c.jsonl").write_text('{"text": "x"}\n')
    check_input(list_input(settings, LOCAL), settings, LOCAL)


def test_equal_texts_get_ids_by_place_that_survive_a_move(tmp_path):
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jsonl").write_text('{"text": "x"}\n{"text": "x"}\n')
    here, there = rows(tmp_path / "here"), rows(tmp_path / "there")
    assert here == there and here[0]["document_id"] != here[1]["document_id"]


def test_lines_are_read_from_s3_in_splits(s3, tmp_path):
    content = "".join(json.dumps({"text": f"글 {i} " * 200}, ensure_ascii=False) + "\n" for i in range(2000))
    url = f"s3://corpus/{tmp_path.name}/a.jsonl"
    filesystem, path = open_filesystem(url, s3)
    filesystem.pipe_file(path, content.encode())
    config = InputConfig(path=url, split_mb=1)
    splits = split_input(list_input(config, s3), config)
    found = [piece.documents for split in splits for piece in read_documents(split, config, s3)]
    assert len(splits) == 4 and pa.concat_tables(found)["text"].to_pylist() == [f"글 {i} " * 200 for i in range(2000)]


def test_a_file_that_vanished_from_s3_is_rejected_by_name(s3, tmp_path):
    url = f"s3://corpus/{tmp_path.name}/a.jsonl"
    filesystem, path = open_filesystem(url, s3)
    filesystem.pipe_file(path, b"{}")
    config = InputConfig(path=url)
    (split,) = split_input(list_input(config, s3), config)
    filesystem.rm_file(path)
    (piece,) = read_documents(split, config, s3)
    assert piece.documents["reason"].to_pylist() == ["unreadable_file"]


def test_formats_may_be_mixed_in_a_folder(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "x"}')
    (tmp_path / "b.txt").write_text("y")
    assert reasons(tmp_path) == [None, None]


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.parquet", "a.warc.gz"])
def test_a_pointer_of_git_lfs_is_told_as_a_file_that_is_not_there(tmp_path, name):
    oid = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
    (tmp_path / name).write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 12345\n")
    (row,) = rows(tmp_path)
    assert (row["reason"], "`git lfs pull` fetches it" in row["detail"]) == ("unreadable_file", True)
    settings = InputConfig(path=str(tmp_path))
    with pytest.raises(BadRequest, match=rf"{name} cannot be read: it is a pointer of Git LFS"):
        check_input(list_input(settings, LOCAL), settings, LOCAL)
    (tmp_path / "b.jsonl").write_text('{"text": "x"}')
    check_input(list_input(settings, LOCAL), settings, LOCAL)
