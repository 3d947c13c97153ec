import subprocess
import sys

import pytest

from operators.errors import BadRequest
from operators.models.engines import EngineConfig, build_engine, chosen
from operators.models.engines.openai.engine import OpenAIConfig
from operators.models.engines.transformers.engine import TransformersConfig

SERVER = OpenAIConfig(base_url="http://localhost:8000/v1", model="m")


def test_the_filled_block_chooses_the_engine():
    engine = build_engine(EngineConfig(openai=SERVER))
    assert (chosen(EngineConfig(openai=SERVER)), engine.model, engine.seats) == ("openai", "m", 64)
    assert chosen(EngineConfig(vllm={})) == "vllm"
    assert chosen(EngineConfig(transformers=TransformersConfig())) == "transformers"


def test_no_block_or_two_are_refused_by_name():
    with pytest.raises(BadRequest, match=r"no engine block given; fill exactly one of engine\.vllm, engine\.openai"):
        chosen(EngineConfig())
    with pytest.raises(BadRequest, match=r"engine\.vllm and engine\.openai given"):
        chosen(EngineConfig(vllm={"model": "m"}, openai=SERVER))


@pytest.mark.parametrize(
    ("copies", "message"),
    [
        ({"copies": 0}, r"engine\.copies is a number of engines from 1, got 0"),
        ({"copies": 4, "max_copies": 3}, r"engine\.max_copies is 3, fewer than engine\.copies=4.*null"),
        ({"max_copies": 0}, r"engine\.max_copies is 0, fewer than engine\.copies=1"),
    ],
)
def test_numbers_of_copies_that_cannot_be_are_refused(copies, message):
    with pytest.raises(BadRequest, match=message):
        EngineConfig(**copies)


def test_configs_and_engines_are_made_without_their_libraries():
    code = (
        "import sys; import operators.models.engines as e;"
        "e.build_engine(e.EngineConfig(openai=e.OpenAIConfig(base_url='http://h/v1', model='m')));"
        "print([name for name in ('aiohttp', 'torch', 'transformers', 'vllm', 'ray') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
