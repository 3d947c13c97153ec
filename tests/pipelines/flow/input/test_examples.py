import json

import pytest

from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.examples.keep import KeepExamples
from operators.storage.config import InputConfig, StorageConfig
from operators.storage.listing import list_input, split_input
from operators.text.extract import ExtractConfig
from pipelines.flow.input.examples import LOOKED_INTO, require_examples, require_fields


def test_a_record_that_raises_is_left_for_the_run_to_tell_of(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"body": "x"}\n')
    config = InputConfig(path=str(tmp_path), text_column=None)
    splits = split_input(list_input(config, StorageConfig()), config)

    def raising(documents):
        raise KeyError("a mistake in reading an example")

    require_examples(splits, config, StorageConfig(), ExtractConfig(), raising)
    with pytest.raises(BadRequest, match="none of the first 1 records is an example"):
        require_examples(splits, config, StorageConfig(), ExtractConfig(), KeepExamples(ExampleConfig()))


def lacking(path, field: str) -> list[str]:
    config = InputConfig(path=str(path), text_column=None)
    splits = split_input(list_input(config, StorageConfig()), config)
    return require_fields(splits, config, StorageConfig(), ExtractConfig(), [field])


def test_a_field_that_only_later_records_have_is_told_and_not_refused(tmp_path):
    first = {"instruction": "q" * 1000, "output": "a"}
    rows = [first] * 1000 + [first | {"source": "x"}] * 9
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = [f"no field 'source' in the first records of {tmp_path}. There are: instruction, output."]
    assert lacking(tmp_path, "source") == said
    assert lacking(tmp_path, "output") == []


def test_a_field_that_no_record_has_is_refused_where_all_could_be_seen(tmp_path):
    (tmp_path / "0.jsonl").write_text('{"output": "a"}\n')
    with pytest.raises(BadRequest, match=r"no field 'source' in any record of .*There are: output"):
        lacking(tmp_path, "source")
    for number in range(1, LOOKED_INTO + 1):
        (tmp_path / f"{number}.jsonl").write_text('{"output": "a"}\n')
    assert len(lacking(tmp_path, "source")) == 1


def test_examples_are_looked_for_all_over_the_input(tmp_path):
    other = json.dumps({"body": "x" * 1000}) + "\n"
    (tmp_path / "a.jsonl").write_text(other * 64 * (LOOKED_INTO + 1))
    config = InputConfig(path=str(tmp_path), text_column=None)

    def require():
        splits = split_input(list_input(config, StorageConfig()), config)
        require_examples(splits, config, StorageConfig(), ExtractConfig(), KeepExamples(ExampleConfig()))

    with pytest.raises(BadRequest, match="is an example"):
        require()
    (tmp_path / "z.jsonl").write_text('{"instruction": "q", "output": "a"}\n')
    require()
    for number in range(LOOKED_INTO):
        (tmp_path / f"b{number}.jsonl").write_text(other)
    require()
