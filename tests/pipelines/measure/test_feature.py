import pytest

from operators.select.measure.base import ModelConfig
from operators.select.measure.lengths import LengthsConfig
from operators.select.measure.sentence import SentenceConfig
from pipelines.measure.feature import Feature


@pytest.mark.parametrize(
    ("block", "may"),
    [
        (ModelConfig(path="m"), True),
        (ModelConfig(path="m", device="cpu"), False),
        (SentenceConfig(), True),
        (SentenceConfig(device="cpu"), False),
        (LengthsConfig(), False),
    ],
)
def test_what_has_a_device_may_use_a_gpu_unless_it_is_told_to_stay_on_the_processor(block, may):
    assert Feature("f", "m:M", (block,)).may_use_gpu == may
