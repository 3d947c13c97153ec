import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.storage.base import InputFile
from operators.storage.config import InputConfig
from operators.storage.filesystem import open_filesystem
from operators.storage.listing import list_input, split_input
from operators.storage.partitions import partition_of
from operators.storage.reading import read_documents
from tests.operators.storage.documents import rows


def partition(url: str, name: str) -> dict:
    return partition_of(InputFile(name, url, 1, "parquet"))


@pytest.mark.parametrize("root", ["/data", "s3://bucket/data", "hf://datasets/owner/name@main"])
def test_folders_tell_columns_below_the_root_and_up_to_it(root):
    assert partition(f"{root}/lang=en/day=01/a.parquet", "lang=en/day=01/a.parquet") == {"lang": "en", "day": "01"}
    assert partition(f"{root}/lang=en/day=01/a.parquet", "a.parquet") == {"lang": "en", "day": "01"}
    assert partition(f"{root}/lang=en/part/a.parquet", "part/a.parquet") == {"lang": "en"}
    assert partition(f"{root}/run=3/corpus/a.parquet", "a.parquet") == {}
    assert partition(f"{root}/x=1/lang=en/deep/a=2/a.parquet", "lang=en/deep/a=2/a.parquet") == {
        "x": "1",
        "lang": "en",
        "a": "2",
    }
    assert partition(f"{root}/a=b.parquet", "a=b.parquet") == {}


def test_values_are_decoded_and_null_is_null():
    folders = "lang=de%20at/w%C3%A4hrung=%E2%82%AC/none=__HIVE_DEFAULT_PARTITION__/empty=/eq=a=b/bad=%FF"
    assert partition(f"/data/{folders}/a.parquet", f"{folders}/a.parquet") == {
        "lang": "de at",
        "währung": "€",
        "none": None,
        "empty": "",
        "eq": "a=b",
        "bad": "\ufffd",
    }


def fill(root: Path) -> Path:
    for folder, columns in (
        ("lang=en", {"text": ["a"], "n": [1]}),
        ("lang=de%20at", {"text": ["b"], "lang": ["file"]}),
        ("lang=__HIVE_DEFAULT_PARTITION__", {"text": ["c"]}),
    ):
        (root / folder).mkdir(parents=True)
        pq.write_table(pa.table(columns), root / folder / "part 0.parquet")
    (root / "_SUCCESS").touch()
    (root / "lang=xx").mkdir()
    (root / "lang=xx" / "a.jsonl").write_text('{"text": null}\n{}\n{"lang": 7, "text": "d"}\n{not json\n')
    (root / "lang=xx" / "b.txt").write_text("e")
    return root


METADATA = {
    "a": {"lang": "en", "n": 1},
    "b": {"lang": "file"},
    "c": {"lang": None},
    "d": {"lang": 7},
    "e": {"lang": "xx"},
}


def test_partitions_become_metadata_and_columns_of_the_file_win(tmp_path):
    found = rows(fill(tmp_path))
    assert {row["text"]: json.loads(row["metadata"]) for row in found if not row["reason"]} == METADATA
    assert {row["metadata"] for row in found if row["reason"]} == {'{"lang":"xx"}'}
    (one,) = rows(tmp_path / "lang=en" / "part 0.parquet")
    assert json.loads(one["metadata"]) == METADATA["a"]
    assert [json.loads(row["metadata"]) for row in rows(tmp_path / "lang=*" / "*.parquet")] == [
        METADATA[text] for text in ("c", "b", "a")
    ]


def test_partitions_become_columns_of_whole_records(tmp_path):
    found = [row["text"] for row in rows(fill(tmp_path), text_column=None) if row["text"]]
    assert [json.loads(text) for text in found] == [
        {"lang": None, "text": "c"},
        {"text": "b", "lang": "file"},
        {"lang": "en", "text": "a", "n": 1},
        {"lang": "xx", "text": None},
        {"lang": "xx"},
        {"lang": 7, "text": "d"},
        {"lang": "xx", "text": "e"},
    ]
    assert found[5] == '{"lang": 7, "text": "d"}'  # as it stands


def test_partitions_on_s3_become_metadata(s3, tmp_path):
    filesystem, root = open_filesystem(f"s3://corpus/{tmp_path.name}", s3)
    filesystem.pipe_file(f"{root}/lang=de%20at/a b.jsonl", b'{"text": "x"}\n')
    config = InputConfig(path=f"s3://{root}")
    (split,) = split_input(list_input(config, s3), config)
    (piece,) = read_documents(split, config, s3)
    assert piece.documents["metadata"].to_pylist() == ['{"lang":"de at"}']
