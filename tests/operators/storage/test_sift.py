import pytest

from operators.errors import BadRequest
from operators.storage.config import InputConfig
from operators.storage.filesystem import open_filesystem
from operators.storage.listing import list_and_sift
from tests.operators.storage.documents import LOCAL

SNAPSHOT = [
    ".gitattributes",
    "README.md",
    "LICENSE",
    "LICENSE-data.txt",
    "dataset_infos.json",
    "config.json",
    "tokenizer_config.json",
    "requirements.txt",
    "load.py",
    "data/train-00000-of-00001.parquet",
    "data/extra.jsonl",
    ".cache/huggingface/download/data/train.metadata",
]


def fill(root, *files: str) -> str:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"{}\n")
    return str(root)


def sifted(path, storage=LOCAL, **config) -> tuple[list[str], str]:
    files, said = list_and_sift(InputConfig(path=path, **config), storage)
    return [file.name for file in files], "; ".join(said)


def test_what_a_repository_of_the_hub_has_beside_its_data_is_left_out_and_told(tmp_path):
    root = fill(tmp_path, *SNAPSHOT)
    names, said = sifted(root)
    assert names == ["data/extra.jsonl", "data/train-00000-of-00001.parquet"]
    assert said == (
        f"files of {root} are left out: 2 hidden (.cache/huggingface/download/data/train.metadata, .gitattributes); "
        "7 about the data (LICENSE, LICENSE-data.txt, README.md, ...); 1 of no known format (load.py)"
    )
    assert sifted(root, format="jsonl")[0] == ["data/extra.jsonl"]
    assert sifted(f"{root}/data") == (names_below(names), "")


def names_below(names: list[str]) -> list[str]:
    return [name.removeprefix("data/") for name in names]


def test_such_names_are_data_where_nothing_marks_a_repository_or_nothing_else_is_there(tmp_path):
    assert sifted(fill(tmp_path / "plain", "config.json", "LICENSE.txt", "a.jsonl"))[0] == [
        "LICENSE.txt",
        "a.jsonl",
        "config.json",
    ]
    assert sifted(fill(tmp_path / "only", "README.md", "LICENSE.txt"))[0] == ["LICENSE.txt"]
    assert sifted(f"{fill(tmp_path / 'named', 'README.md', 'config.json')}/config.json") == (["config.json"], "")


def test_what_the_library_datasets_keeps_beside_its_data_is_left_out(tmp_path):
    root = fill(
        tmp_path,
        "dataset_dict.json",
        *(
            f"{part}/{name}"
            for part in ("train", "test")
            for name in ("state.json", "dataset_info.json", "data-0.arrow")
        ),
        "train/cache-0f.arrow",
        "train/tmpab12.arrow",
    )
    names, said = sifted(root)
    assert names == ["test/data-0.arrow", "train/data-0.arrow"]
    assert "5 about the data" in said and "2 kept beside the data (train/cache-0f.arrow, train/tmpab12.arrow)" in said
    assert sifted(fill(tmp_path / "other", "cache-a.arrow"))[0] == ["cache-a.arrow"]


def test_marks_of_jobs_and_hidden_folders_are_left_out_but_no_partition(tmp_path):
    root = fill(
        tmp_path, "_SUCCESS", "_temporary/a.jsonl", "lang=en/_SUCCESS", "lang=en/part 0.jsonl", "_day=1/a.jsonl"
    )
    names, said = sifted(root)
    assert names == ["_day=1/a.jsonl", "lang=en/part 0.jsonl"] and "3 hidden" in said


def test_nothing_is_said_of_a_folder_of_documents_or_of_an_artifact(tmp_path):
    assert sifted(fill(tmp_path / "plain", "a.jsonl"))[1] == ""
    artifact = ["data/part.parquet", "rejected/part.parquet", "_gristmill/epochs/00000001.json", "README.md"]
    assert sifted(fill(tmp_path / "made", *artifact)) == (["data/part.parquet"], "")


def test_a_snapshot_on_s3_is_sifted_alike(s3, tmp_path):
    filesystem, root = open_filesystem(f"s3://corpus/{tmp_path.name}", s3)
    for name in SNAPSHOT:
        filesystem.pipe_file(f"{root}/{name}", b"{}\n")
    names, said = sifted(f"s3://{root}", s3)
    assert names == ["data/extra.jsonl", "data/train-00000-of-00001.parquet"] and "7 about the data" in said


def test_a_folder_with_nothing_to_read_says_what_is_there(tmp_path):
    with pytest.raises(BadRequest, match=r"\.md \(1\)"):
        sifted(fill(tmp_path, "README.md"))
