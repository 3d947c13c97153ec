import pytest

from operators.engines import EngineConfig
from operators.engines.openai import OpenAIConfig
from operators.engines.transformers import TransformersConfig
from pipelines.engines import _gpus_per_copy


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"vllm": {"model": "m"}}, 1),
        ({"vllm": {"tensor_parallel_size": None, "pipeline_parallel_size": None, "data_parallel_size": None}}, 1),
        ({"vllm": {"tensor_parallel_size": 2, "pipeline_parallel_size": 3, "data_parallel_size": 4}}, 24),
        ({"transformers": TransformersConfig(model="m")}, 1),
        ({"openai": OpenAIConfig(model="m")}, 0),
    ],
)
def test_a_copy_claims_the_gpus_that_its_engine_spreads_over(block, expected):
    assert _gpus_per_copy(EngineConfig(**block)) == expected
