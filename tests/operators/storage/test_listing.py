import os
from collections import Counter

import pytest

from operators.errors import BadRequest
from operators.storage.base import InputFile
from operators.storage.config import InputConfig, StorageConfig
from operators.storage.filesystem import open_filesystem
from operators.storage.listing import list_input, split_input
from operators.storage.reading import check_input
from operators.storage.s3 import PatientS3
from tests.operators.storage.documents import LOCAL, rows


def names(path, storage=LOCAL, **config) -> list[str]:
    return [file.name for file in list_input(InputConfig(path=path, **config), storage)]


def fill(root, *files: str) -> str:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"{}\n")
    return str(root)


def test_a_folder_is_read_to_its_depth_without_what_is_hidden(tmp_path):
    root = fill(
        tmp_path, "b.jsonl", "a/문서 1.parquet", ".hidden.jsonl", "_logs/x.jsonl", "a/_SUCCESS", "notes.md", "c.TXT"
    )
    assert names(root) == ["a/문서 1.parquet", "b.jsonl", "c.TXT"]
    assert [file.format for file in list_input(InputConfig(path=root), LOCAL)] == ["parquet", "jsonl", "text"]


def test_addresses_of_files_are_listed_like_their_paths(tmp_path):
    root = fill(tmp_path, "a b/%20.jsonl", "a b/c.jsonl")
    assert names(f"file://{root}/a%20b") == names(f"{root}/a b") == ["%20.jsonl", "c.jsonl"]
    assert names(f"file://localhost{root}/a%20b/%2520.jsonl") == ["%20.jsonl"]
    assert names(f"file://{root}/a%20b/c*.jsonl") == ["c.jsonl"]


def test_names_do_not_change_when_a_corpus_moves(tmp_path):
    here, there = fill(tmp_path / "here", "x/a.jsonl"), fill(tmp_path / "far" / "there", "x/a.jsonl")
    assert names(here) == names(there) == names(f"{here}/*/*.jsonl") == ["x/a.jsonl"]


def test_a_list_of_paths_keeps_names_apart_and_reads_no_file_twice(tmp_path):
    root = fill(tmp_path, "one/a.jsonl", "two/a.jsonl")
    assert names([f"{root}/one", f"{root}/two/a.jsonl"]) == ["one/a.jsonl", "two/a.jsonl"]
    assert names([f"{root}/one", f"{root}/one/*.jsonl"]) == ["a.jsonl"]


def test_a_name_with_wildcard_characters_is_found_as_it_is(tmp_path):
    root = fill(tmp_path, "part[1].jsonl", "part1.jsonl")
    assert names(f"{root}/part[1].jsonl") == ["part[1].jsonl"]
    assert names(f"{root}/part[0-9].jsonl") == ["part1.jsonl"]


def test_of_an_artifact_the_documents_are_read(tmp_path):
    artifact = [
        "data/part.parquet",
        "rejected/part.parquet",
        "_gristmill/epochs/00000001.json",
        "README.md",
        "notes.txt",
    ]
    assert names(fill(tmp_path / "one", *artifact)) == ["data/part.parquet"]
    assert names(fill(tmp_path, "raw.txt")) == ["one/data/part.parquet", "raw.txt"]


def test_links_are_followed_but_not_around_in_circles(tmp_path):
    root = fill(tmp_path / "root", "a.jsonl")
    (tmp_path / "root" / "again").symlink_to(tmp_path / "root")
    (tmp_path / "root" / "b.jsonl").symlink_to(tmp_path / "root" / "a.jsonl")
    assert names(root) == ["a.jsonl", "b.jsonl"]


def test_a_link_that_leads_to_itself_costs_nothing_but_itself(tmp_path):
    root = fill(tmp_path, "a.jsonl", "sub/b.jsonl")
    (tmp_path / "a.jsonl").write_text('{"text": "a"}')
    (tmp_path / "self.jsonl").symlink_to("self.jsonl")
    (tmp_path / "gone.jsonl").symlink_to("nowhere")
    for path in (root, f"{root}/*"):
        settings = InputConfig(path=path)
        files = list_input(settings, LOCAL)
        assert [file.name for file in files] == ["a.jsonl", "gone.jsonl", "self.jsonl", "sub/b.jsonl"]
        check_input(files, settings, LOCAL)
        assert [row["source_file"] for row in rows(path) if row["reason"] == "unreadable_file"] == [
            "gone.jsonl",
            "self.jsonl",
        ]
    with pytest.raises(BadRequest, match=r"cannot read .*self\.jsonl"):
        names(f"{root}/self.jsonl")


def test_a_folder_that_a_glob_matches_is_read_to_its_depth(tmp_path):
    root = fill(tmp_path, "a.jsonl", "lang=en/b.jsonl", "lang=en/year=2/c.jsonl", "lang=de/d.jsonl")
    assert names(f"{root}/lang=*") == ["lang=de/d.jsonl", "lang=en/b.jsonl", "lang=en/year=2/c.jsonl"]
    assert names(f"{root}/*") == names(root) == names(f"{root}/**")
    assert names(f"{root}/*.jsonl") == ["a.jsonl"]


def test_a_format_that_is_named_reads_its_endings_or_else_all(tmp_path):
    root = fill(tmp_path, "a.log", "b.log")
    assert names(root, format="lines") == ["a.log", "b.log"]
    assert names(fill(tmp_path, "c.txt.gz"), format="lines") == ["c.txt.gz"]


@pytest.mark.parametrize(
    ("files", "path", "config", "says"),
    [
        ([], "nowhere", {}, "nothing is at .*nowhere"),
        ([], "*.jsonl", {}, r"no file matches .*\*\.jsonl"),
        ([".hidden.jsonl"], "", {}, "no file is in"),
        (["a.docx", "b.docx", "c"], "", {}, r"\.docx \(2\), no ending \(1\); known are \.parquet .*\.jsonl"),
        (["a.docx"], "a.docx", {}, "Set input.format"),
        (["a.jsonl"], "", {"format": "josnl"}, "Did you mean 'jsonl'"),
        (["a.jsonl"], "", {"on_error": "ignore"}, "reject, fail"),
        (["a.jsonl"], "", {"split_mb": 0}, "split_mb"),
        (
            ["a.jsonl"],
            "",
            {"limit": 0},
            r"input\.limit is a number of documents, at least 1, or null for all; 0 was given",
        ),
        (["a.jsonl"], "", {"limit": -5}, r"input\.limit .* -5 was given"),
    ],
)
def test_what_cannot_be_read_is_a_bad_request_that_says_why(tmp_path, files, path, config, says):
    with pytest.raises(BadRequest, match=says):
        names(f"{fill(tmp_path, *files)}/{path}", **config)


def test_no_path_is_a_bad_request():
    with pytest.raises(BadRequest, match=r"input\.path"):
        names(None)


def test_s3_is_listed_like_a_folder(s3, tmp_path):
    filesystem, root = open_filesystem(f"s3://corpus/{tmp_path.name}", s3)
    for name in ("a b.jsonl", "x/문서.jsonl", "_tmp/c.jsonl", "note.md"):
        filesystem.pipe_file(f"{root}/{name}", b"{}\n")
    assert names(f"s3://{root}", s3) == names(f"s3://{root}/", s3) == ["a b.jsonl", "x/문서.jsonl"]
    assert names(f"s3://{root}/*/*.jsonl", s3) == names(f"s3://{root}/x*", s3) == ["x/문서.jsonl"]
    filesystem.pipe_file(f"{root}/later.jsonl", b"{}\n")
    assert "later.jsonl" in names(f"s3://{root}", s3)
    with pytest.raises(BadRequest, match="nothing is at"):
        names(f"s3://{root}/missing", s3)
    with pytest.raises(BadRequest):
        names("s3://no-such-bucket/x", s3)


def test_missing_credentials_and_dead_endpoints_are_bad_requests(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    PatientS3.clear_instance_cache()  # one for the same address may have found keys in another test
    with pytest.raises(BadRequest, match="credentials"):
        names("s3://bucket/x", StorageConfig(endpoint_url="http://127.0.0.1:9"))


def test_files_are_cut_by_their_sizes_without_opening_one():
    files = [InputFile(f"{i}.parquet", f"/nowhere/{i}.parquet", 200 * 2**20, "parquet") for i in range(1000)]
    splits = split_input(files, InputConfig())
    assert Counter(split.file.name for split in splits)["7.parquet"] == 2
    assert [split.key for split in splits[:2]] == ["0.parquet:0-134217728", "0.parquet:134217728-209715200"]


def test_packed_files_and_empty_ones_are_one_split():
    sizes = {"a.jsonl.gz": 2**30, "b.warc": 2**30, "c.jsonl": 0}
    files = [InputFile(name, name, size, "warc" if "warc" in name else "jsonl") for name, size in sizes.items()]
    assert [split.end for split in split_input(files, InputConfig())] == [2**30, 2**30, 1]


def test_names_that_differ_only_in_bytes_that_are_no_text_stay_apart(tmp_path):
    for name in (b"a\xff.txt", b"a\xfe.txt"):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(b"text")
    assert len({file.name for file in list_input(InputConfig(path=str(tmp_path)), LOCAL)}) == 2
