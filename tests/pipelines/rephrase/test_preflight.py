import pytest

from operators.errors import BadRequest
from operators.storage.config import InputConfig, StorageConfig
from operators.storage.listing import list_input
from operators.storage.place import Place
from pipelines.config import compose
from pipelines.flow.input.files import _committed
from pipelines.rephrase.job import RephraseJob
from tests.pipelines.ledger.finished import artifact


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("max_tokens=0", r"max_tokens is a number of tokens from 1 or null, got 0\."),
        ("temperature=nan", r"temperature is .* got nan\."),
        ("chunk.max_tokens=0", r"chunk\.min_tokens=0 with chunk\.max_tokens=0: a chunk has at least one token"),
        ("engine.copies=0", r"engine\.copies is a number of engines from 1, got 0\."),
    ],
)
def test_a_value_that_cannot_be_is_refused_as_the_config_is_composed(word, said):
    with pytest.raises(BadRequest, match=f"^{said}"):
        compose(RephraseJob, None, [word])


@pytest.mark.parametrize("words", ["", "/data", "/data/*.parquet"])
def test_of_an_artifact_that_is_read_its_records_say_what_belongs_to_it(tmp_path, words):
    place = Place(str(tmp_path), StorageConfig())
    artifact(place)
    place.publish(f"data/part-00000001-{'0' * 32}.parquet", b"of a write that died")
    files = list_input(InputConfig(path=f"{tmp_path}{words}"), StorageConfig())
    assert [file.name.rpartition("/")[2] for file in _committed(files, StorageConfig()) if "0" * 32 in file.name] == []
    assert len(_committed(files, StorageConfig())) == len(files) - 1 == 4


def test_an_artifact_with_a_part_gone_is_refused_as_input(tmp_path):
    place = Place(str(tmp_path), StorageConfig())
    artifact(place)
    place.remove(gone := place.names("data")[0])
    files = list_input(InputConfig(path=str(tmp_path)), StorageConfig())
    with pytest.raises(BadRequest, match=f"1 parts of .* are gone: {gone}.*gristmill verify"):
        _committed(files, StorageConfig())
