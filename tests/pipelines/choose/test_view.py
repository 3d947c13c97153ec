import pytest

from pipelines.choose.view import is_measured, numbered


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
