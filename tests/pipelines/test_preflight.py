import pytest

from operators.errors import BadRequest
from pipelines.config import compose
from pipelines.rephrase import RephraseJob


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
