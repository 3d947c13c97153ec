import errno
import os
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.errors import BadRequest, StorageRefusal
from operators.storage.config import StorageConfig
from operators.storage.filesystem import local_path, open_filesystem
from operators.storage.place import Place


@pytest.fixture(params=["local", "s3"])
def place(request, tmp_path) -> Place:
    if request.param == "local":
        return Place(str(tmp_path / "out put"), StorageConfig())
    return Place(f"s3://corpus/{tmp_path.name}/out put", request.getfixturevalue("s3"))


def test_what_is_published_is_read_listed_and_removed(place):
    assert place.names("data") == [] and not place.exists("data/b")
    place.publish("data/b", b"two")
    place.publish("data/a ü", b"one")
    place.publish("data/b", b"three")
    place.publish("data/deeper/c", b"")
    assert place.names("data") == ["data/a ü", "data/b"]
    assert place.read("data/b") == b"three" and place.exists("data/b")
    place.remove("data/b")
    place.remove("data/b")
    assert not place.exists("data/b") and place.names("data") == ["data/a ü"]
    with pytest.raises(FileNotFoundError):
        place.read("data/b")


def test_addresses_of_files_are_decoded_and_plain_paths_are_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for address in (
        "file:///a%20b/%ED%95%9C%23?x.jsonl",
        "file://localhost/a%20b/한%23?x.jsonl",
        "FILE:/a b/한#?x.jsonl",
    ):
        assert local_path(address) == "/a b/한#?x.jsonl"
    assert os.fsencode(local_path("file:///a%FF")) == b"/a\xff"
    assert local_path("/a%20b") == "/a%20b" and local_path("a%20b") == f"{tmp_path}/a%20b"
    assert local_path("s3://b/a%20b") is local_path("file://elsewhere/a") is None
    with pytest.raises(BadRequest, match="file:///PATH"):
        open_filesystem("file://elsewhere/a", StorageConfig())


def test_a_place_crosses_to_another_process_and_opens_for_pyarrow(place):
    table = pa.table({"text": ["a", "b"]})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    place.publish("data/part.parquet", sink.getvalue().to_pybytes())
    with pickle.loads(pickle.dumps(place)).open("data/part.parquet") as file:
        assert pq.read_table(file) == table


def test_checking_that_a_place_can_be_written_leaves_nothing(place):
    place.check_writable()
    assert place.names() == []


def test_a_failed_publication_leaves_the_old_bytes_and_no_scrap(tmp_path):
    place = Place(str(tmp_path), StorageConfig())
    place.publish("a", b"old")
    with pytest.raises(TypeError):
        place.publish("a", "not bytes")
    assert place.read("a") == b"old" and [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_what_is_created_is_not_created_again(place):
    assert place.create("data/b", b"one") and not place.create("data/b", b"two")
    assert place.read("data/b") == b"one" and place.names("data") == ["data/b"]


@pytest.mark.parametrize("refusal", [None, errno.EPERM, errno.EOPNOTSUPP])
def test_a_disk_without_hard_links_creates_too(tmp_path, monkeypatch, refusal):
    def link(*_):
        raise OSError(refusal, "no hard links here")

    if refusal:
        monkeypatch.setattr(os, "link", link)
    place = Place(str(tmp_path), StorageConfig())
    assert place.create("a", b"one") and not place.create("a", b"two")
    assert place.read("a") == b"one" and os.listdir(tmp_path) == ["a"]


def test_of_many_processes_that_create_one_local_name_one_is_told_so(tmp_path):
    place = Place(str(tmp_path), StorageConfig())
    contents = [b"%d" % i * 100_000 for i in range(8)]
    with ProcessPoolExecutor(8, get_context("fork")) as pool:
        told = list(pool.map(place.create, ["a"] * 8, contents))
    assert sum(told) == 1 and place.read("a") == contents[told.index(True)]
    assert os.listdir(tmp_path) == ["a"]


def test_a_link_that_is_there_though_the_answer_was_lost_counts(tmp_path, monkeypatch):
    link = os.link

    def link_twice(*names):
        link(*names)
        link(*names)

    monkeypatch.setattr(os, "link", link_twice)
    assert Place(str(tmp_path), StorageConfig()).create("a", b"one")


@pytest.mark.parametrize("act", ["publish", "create"])
def test_a_full_disk_is_told_in_plain_words(tmp_path, monkeypatch, act):
    place = Place(str(tmp_path), StorageConfig())
    place.publish("a", b"old")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageRefusal, match=f"{tmp_path}/a: .*No space left.*same command"):
        getattr(place, act)("a", b"new")
    assert place.read("a") == b"old" and os.listdir(tmp_path) == ["a"]


def test_a_place_that_cannot_be_written_is_named_with_the_reason(tmp_path, s3):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadRequest, match=r"file/out: .*[Dd]irectory"):
        Place(str(tmp_path / "file" / "out"), StorageConfig()).check_writable()
    with pytest.raises(BadRequest, match=r"s3://no-such-bucket/out"):
        Place("s3://no-such-bucket/out", s3).check_writable()
    with pytest.raises(BadRequest, match="hub"):
        Place("hf://datasets/someone/something", StorageConfig()).check_writable()


def test_a_local_place_is_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert Place("out", StorageConfig()).url == str(tmp_path / "out")


def test_an_address_with_a_secret_is_refused_without_repeating_it():
    with pytest.raises(BadRequest) as refusal:
        open_filesystem("s3://AKIA1:secret2@bucket/path", StorageConfig())
    assert "secret2" not in str(refusal.value)


def test_an_unknown_storage_is_refused_with_those_there_are():
    with pytest.raises(BadRequest, match="s3://"):
        open_filesystem("ftp://host/path", StorageConfig())
