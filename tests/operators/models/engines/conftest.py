"""One tiny model for all engine tests, and the engines on it, not yet started."""

import os

import pytest

from tests.tiny_model import make_tiny_model

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # to be read when torch is first imported
VLLM_ARGUMENTS = {"max_num_seqs": 8, "max_model_len": 512, "kv_cache_memory_bytes": 64 << 20}


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    return str(make_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="session")
def vllm_arguments(tiny_model):
    pytest.importorskip("vllm", reason="vLLM is not installed: pip install 'gristmill[cpu]'")
    return {"model": tiny_model, **VLLM_ARGUMENTS}


@pytest.fixture
def vllm_engine(vllm_arguments):
    from operators.models.engines.vllm.engine import VllmEngine

    return VllmEngine(vllm_arguments)


@pytest.fixture
def transformers_engine(tiny_model):
    from operators.models.engines.transformers.engine import TransformersConfig, TransformersEngine

    return TransformersEngine(TransformersConfig(model=tiny_model, batch_size=4))
