import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.errors import BadRequest
from operators.storage.filesystem import Place, StorageConfig, open_filesystem


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
