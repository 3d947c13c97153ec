"""Rows of a choice keep all that their records say."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from operators.examples.base import ExampleConfig, example_of
from operators.examples.keep import KeepExamples
from operators.examples.prompting import FRAMES
from operators.table import DOCUMENTS
from pipelines.choose.picks import chosen_rows

QA = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]
CALL = {"type": "function", "function": {"name": "look", "arguments": {"at": "mill"}}}
PLAIN = {"messages": QA}
THINKING = {"system": "Be short.", "messages": [QA[0], QA[1] | {"reasoning_content": "Hm.", "weight": 1}]}
CALLING = {
    "messages": [
        QA[0],
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "42", "name": "look", "tool_call_id": "c1"},
        QA[1],
    ],
    "tools": [{"name": "look"}],
}
INPUT = {"instruction": "Translate.", "input": "Hund", "output": "dog"}
AFTER_ROUNDS = INPUT | {"system": "Be short.", "history": [["Why?", "So."]]}


def chosen(tmp_path, *records: dict) -> pa.Table:
    """Keep records as a pool does, and choose all of them, the last first."""
    rows = [dict.fromkeys(DOCUMENTS.names) | {"text": json.dumps(record)} for record in records]
    kept = KeepExamples(ExampleConfig())(pa.Table.from_pylist(rows, DOCUMENTS))
    carries = {word for words in kept["carries"].to_pylist() for word in words}
    table = pa.table({"id": [str(n) for n in range(len(records))], "record": kept["text"]})
    pool = SimpleNamespace(parts=[SimpleNamespace(rows=len(records))], carries=carries, load=lambda part: table)
    positions = np.arange(len(records))[::-1]
    return pa.concat_tables(chosen_rows(pool, ExampleConfig(), positions, {}, tmp_path))


@pytest.mark.parametrize(
    "records",
    [
        [PLAIN, THINKING, CALLING],
        [{"text": "A mill."}, CALLING],
        [THINKING, PLAIN],
        [INPUT, PLAIN, AFTER_ROUNDS, INPUT | {"input": ""}],
    ],
)
def test_a_chosen_row_is_the_same_example_as_its_record(tmp_path, records):
    rows = chosen(tmp_path, *records).to_pylist()
    for row, record in zip(rows, reversed(records), strict=True):
        again, before = (example_of(each, ExampleConfig()) for each in (row, record))
        assert again == replace(before, unused=())


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("record", [PLAIN, INPUT, AFTER_ROUNDS], ids=["messages", "input", "rounds before"])
def test_a_template_frames_a_chosen_row_as_its_record(tmp_path, record, name):
    (row,) = chosen(tmp_path, record).to_pylist()
    again, before = (FRAMES[name]().framed(example_of(each, ExampleConfig()), "last") for each in (row, record))
    assert again == before


def test_rows_that_only_say_something_have_role_and_content_alone(tmp_path):
    rows = chosen(tmp_path, PLAIN, {"instruction": "Why?", "output": "So."})
    assert rows.schema.field("messages").type.value_type.names == ["role", "content"]
    assert rows["messages"].to_pylist() == [QA, QA] and "tools" not in rows.column_names
