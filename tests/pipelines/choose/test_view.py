import json
from types import SimpleNamespace

import pyarrow as pa
import pytest

from operators.examples.base import ExampleConfig
from pipelines.choose.view import PoolView, is_measured, numbered


@pytest.mark.parametrize(
    "name", ["id", "record", "content", "text", "record.kind", "answer_loss.reason", "record.tokens"]
)
def test_what_the_pool_has_is_not_measured(name):
    assert not is_measured(name)


@pytest.mark.parametrize("name", ["answer_loss", "tokens", "embedding", "digit_logits_1", "recorded"])
def test_all_else_is_a_features(name):
    assert is_measured(name)


def test_a_number_names_the_model_or_checkpoint_of_a_column():
    assert numbered("digit_logits_12") == ("digit_logits", 12)
    assert numbered("answer_loss") == ("answer_loss", None)


def test_a_null_of_pandas_in_a_field_of_records_is_no_word(tmp_path):
    records = [json.dumps({"text": "A mill.", "kind": kind}) for kind in ("prose", None, float("nan"), 5)]
    table = pa.table({"id": ["a", "b", "c", "d"], "record": records})
    pool = SimpleNamespace(parts=[SimpleNamespace(rows=4)], rows=4, load=lambda part: table)
    (kinds,) = PoolView(pool, {}).stored(ExampleConfig(), tmp_path / "scratch").columns("record.kind")
    assert kinds["record.kind"].to_pylist() == ["prose", None, None, "5"]
