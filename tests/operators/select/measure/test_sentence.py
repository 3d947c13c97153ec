import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.models.sentence_encoder import PACKAGED, locate
from operators.select.measure.sentence import Sentence, SentenceConfig
from tests.operators.select.measure.scorers import asked, pool

pytestmark = pytest.mark.model
RECORDS = [asked("What does a mill do?", "It grinds grain."), {"other": 1}, "The mill stands by the river."]
SPOKEN = ["What does a mill do?\nIt grinds grain.", "The mill stands by the river."]


@pytest.fixture(scope="module")
def sentence() -> Sentence:
    return Sentence(SentenceConfig(device="cpu"), ExampleConfig())


def test_what_is_said_is_embedded_and_the_rest_is_null(sentence):
    table = sentence(pool(*RECORDS))
    given = table["embedding"].to_pylist()
    assert (table["reason"].to_pylist(), given[1]) == ([None, "unknown_form", None], None)
    plain = SentenceTransformer(locate(PACKAGED, "sentence.model"), device="cpu")
    for vector, text in zip((given[0], given[2]), SPOKEN, strict=True):
        np.testing.assert_allclose(vector, plain.encode(text, normalize_embeddings=True), atol=1e-5)


def test_company_changes_nothing_but_rounding_and_no_rows_have_the_same_columns(sentence):
    whole = sentence(pool(*RECORDS, "long " * 2000))
    alone = sentence(pool(*RECORDS[:1]))
    np.testing.assert_allclose(whole["embedding"][0].as_py(), alone["embedding"][0].as_py(), atol=1e-5)
    assert np.linalg.norm(whole["embedding"][3].as_py()) == pytest.approx(1, abs=1e-5)
    none = sentence(pool(*RECORDS).slice(0, 0))
    assert none.schema == whole.schema and len(none) == 0


def test_a_model_that_is_not_there_is_refused():
    with pytest.raises(BadRequest, match=r"sentence\.model '/no/such/folder'"):
        Sentence(SentenceConfig(model="/no/such/folder"), ExampleConfig())
    with pytest.raises(BadRequest, match=r"sentence\.batch_size"):
        SentenceConfig(batch_size=0)


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(BadRequest, match=r"sentence\.model .* cannot be put on cuda .*sentence\.device=cpu"):
        Sentence(SentenceConfig(device="cuda"), ExampleConfig())
