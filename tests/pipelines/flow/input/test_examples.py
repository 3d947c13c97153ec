import pytest

from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.examples.keep import KeepExamples
from operators.storage.config import InputConfig, StorageConfig
from operators.storage.listing import list_input, split_input
from operators.text.extract import ExtractConfig
from pipelines.flow.input.examples import require_examples


def test_a_record_that_raises_is_left_for_the_run_to_tell_of(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"body": "x"}\n')
    config = InputConfig(path=str(tmp_path), text_column=None)
    splits = split_input(list_input(config, StorageConfig()), config)

    def raising(documents):
        raise KeyError("a mistake in reading an example")

    require_examples(splits, config, StorageConfig(), ExtractConfig(), raising)
    with pytest.raises(BadRequest, match="none of the first 1 records is an example"):
        require_examples(splits, config, StorageConfig(), ExtractConfig(), KeepExamples(ExampleConfig()))
