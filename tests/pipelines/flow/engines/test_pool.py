import pytest

from operators.models.engines import EngineConfig
from operators.models.engines.base import EngineFailure
from operators.models.engines.openai.engine import OpenAIConfig
from operators.models.engines.transformers.engine import TransformersConfig
from pipelines.flow.engines.actor import DEATHS_AT_START, DEATHS_IN_A_ROW, _check_deaths
from pipelines.flow.engines.pool import _gpus_per_copy, _patience


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"vllm": {"model": "m"}}, 1),
        ({"vllm": {"tensor_parallel_size": None, "pipeline_parallel_size": None, "data_parallel_size": None}}, 1),
        ({"vllm": {"tensor_parallel_size": 2, "pipeline_parallel_size": 3, "data_parallel_size": 4}}, 24),
        ({"transformers": TransformersConfig(model="m")}, 1),
        ({"transformers": TransformersConfig(model="m", device="cuda:0")}, 1),
        ({"transformers": TransformersConfig(model="m", device="cpu")}, 0),
        ({"openai": OpenAIConfig(model="m")}, 0),
    ],
)
def test_a_copy_claims_the_gpus_that_its_engine_spreads_over(block, expected):
    assert _gpus_per_copy(EngineConfig(**block)) == expected


@pytest.mark.parametrize(
    ("deaths", "actors", "any_stood", "said"),
    [
        (DEATHS_AT_START - 1, 1, False, None),
        (DEATHS_AT_START, 1, False, "died 3 times while it started"),
        (DEATHS_AT_START, 1, True, None),
        (DEATHS_IN_A_ROW, 1, True, "died 8 times without an answer"),
        (DEATHS_IN_A_ROW, 2, True, None),
        (2 * DEATHS_IN_A_ROW, 2, True, "died 16 times without an answer"),
    ],
)
def test_engines_are_not_started_again_for_ever(deaths, actors, any_stood, said):
    if said is None:
        _check_deaths(deaths, actors, any_stood)
    else:
        with pytest.raises(EngineFailure, match=said):
            _check_deaths(deaths, actors, any_stood)


def test_an_endpoint_is_given_the_time_that_its_own_limits_let_pass():
    openai = OpenAIConfig(model="m", timeout_s=300.0, max_retries=8)
    assert _patience(EngineConfig(transformers=TransformersConfig(model="m")), 600.0) == 600.0
    assert _patience(EngineConfig(openai=openai), 600.0) > 9 * 300.0
