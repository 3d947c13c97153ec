"""Every format that is registered keeps the contract of formats/base.py."""

import inspect
import io

import pytest

from operators.errors import BadRequest
from operators.storage.base import InputFile, Split
from operators.storage.config import InputConfig
from operators.storage.formats.base import Format, Row
from operators.storage.registry import FORMATS, guess, known_endings, reader_of, require_format
from operators.storage.watched import Watched


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_says_what_its_files_are_called_and_how_they_begin(name):
    reader = reader_of(name)
    assert isinstance(reader.endings, tuple) and all(
        ending == ending.lower() and ending[0] == "." for ending in reader.endings
    )
    assert all(isinstance(magic, bytes) and magic and kind for magic, kind in reader.magic.items())
    assert isinstance(reader.divisible, bool)
    assert list(inspect.signature(reader).parameters) == ["split", "config", "extract"]
    for method in ("records", "row", "check"):
        assert list(inspect.signature(getattr(reader, method)).parameters) == list(
            inspect.signature(getattr(Format, method)).parameters
        )


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_file_is_no_error(name):
    split = Split(InputFile("a", "a", 0, name), 0, 1)
    reader = reader_of(name)(split, InputConfig())
    assert reader.check(Watched(io.BytesIO(b""))) is False
    payloads = [record.payload for record in reader.records(Watched(io.BytesIO(b"")))]
    rows = [
        payload if isinstance(payload, tuple) and hasattr(payload, "reason") else reader.row(payload)
        for payload in payloads
    ]
    assert all(row.reason for row in rows if isinstance(row, Row))


def test_names_are_guessed_and_unknown_formats_are_named():
    assert [guess(f"a{ending}") for ending in (".parquet", ".jsonl", ".txt", ".warc", ".doc")] == [
        "parquet",
        "jsonl",
        "text",
        "warc",
        None,
    ]
    assert ".ndjson" in known_endings()
    with pytest.raises(BadRequest, match=r"no format 'parket'.*Did you mean 'parquet'"):
        require_format("parket")
