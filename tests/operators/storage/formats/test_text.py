import bz2
import gzip

import pytest

from operators.errors import BadRequest
from operators.storage.config import InputConfig
from operators.storage.formats import text
from operators.storage.listing import list_input
from operators.storage.reading import check_input
from tests.operators.storage.documents import LOCAL, reasons, rows


def test_a_text_file_is_one_document(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeff첫 줄\nsecond\r\n".encode())
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"packed"))
    (tmp_path / "c.txt").write_bytes(b"")
    (tmp_path / "d.txt").write_bytes(b"latin \xe9")
    found = rows(tmp_path)
    assert [row["text"] for row in found] == ["첫 줄\nsecond\r\n", "packed", "", None]
    assert [row["reason"] for row in found] == [None, None, "empty_text", "invalid_utf8"]
    assert {row["position"] for row in found} == {0} and len({row["document_id"] for row in found}) == 4


def test_a_column_of_ids_is_refused_where_there_are_no_columns(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    for format in ("text", "lines"):
        settings = InputConfig(path=str(tmp_path), format=format, id_column="key")
        with pytest.raises(
            BadRequest, match=r"no column 'key' is in .*a\.txt, which has none: id and null make all ids"
        ):
            check_input(list_input(settings, LOCAL), settings, LOCAL)


def test_a_line_is_a_document_where_lines_are_asked_for(tmp_path):
    (tmp_path / "a.txt.bz2").write_bytes(
        bz2.compress("하나\r\n\n \nzwei\n\xff".encode("latin-1", "ignore") + b"ok\n\xff")
    )
    found = rows(tmp_path, format="lines")
    assert [row["reason"] for row in found][-1] == "invalid_utf8"
    (tmp_path / "a.txt.bz2").write_bytes(bz2.compress("하나\r\n\n \nzwei".encode()))
    found = rows(tmp_path, format="lines")
    assert [(row["text"], row["position"]) for row in found] == [("하나", 0), ("zwei", 11)]


def test_half_a_packed_text_is_no_document(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(bytes(range(256)) * 99)[:-9])
    assert reasons(tmp_path) == ["broken_record"]


def test_a_text_too_large_to_hold_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "MAX_RECORD", 10)
    (tmp_path / "a.txt").write_bytes(b"x" * 11)
    assert reasons(tmp_path) == ["too_large"]


def test_a_sample_refuses_what_is_no_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"%PDF-1.7\n")
    settings = InputConfig(path=str(tmp_path))
    with pytest.raises(BadRequest, match="begins like PDF"):
        check_input(list_input(settings, LOCAL), settings, LOCAL)


def test_a_whole_record_of_a_text_is_an_object_with_it(tmp_path):
    (tmp_path / "a.txt").write_text("첫 줄\nsecond")
    (tmp_path / "b.txt").write_text(" ")
    first, second = rows(tmp_path, text_column=None)
    assert first["text"] == '{"text":"첫 줄\\nsecond"}' and second["reason"] == "empty_text"
    found = rows(tmp_path / "a.txt", format="lines", text_column=None)
    assert [row["text"] for row in found] == ['{"text":"첫 줄"}', '{"text":"second"}']
