import pytest

from operators.errors import BadRequest
from operators.learn.training.config import (
    BatchConfig,
    LoraConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainedModelConfig,
    TrainingConfig,
)

WRONG = [
    (TrainedModelConfig, {"preset": "llama-9b"}, "llama-128m"),
    (TrainedModelConfig, {"preset": "llama-128m", "path": "here"}, "one of them"),
    (TrainedModelConfig, {"layers": 2}, "belong together"),
    (TrainedModelConfig, {"layers": 2, "heads": 3, "width": 64}, "multiple"),
    (TrainedModelConfig, {"layers": 2, "heads": 4, "width": 64, "kv_heads": 3}, "kv_heads"),
    (TrainedModelConfig, {"preset": "llama-128m", "kv_heads": 5}, "kv_heads"),
    (TrainedModelConfig, {"path": "here", "kv_heads": 5}, "brings its own sizes"),
    (OptimizerConfig, {"lr": 0}, "optimizer.lr"),
    (OptimizerConfig, {"lr": float("nan")}, "optimizer.lr"),
    (OptimizerConfig, {"betas": [0.9]}, "betas"),
    (ScheduleConfig, {"name": "square"}, "cosine, linear, wsd, constant"),
    (ScheduleConfig, {"decay_share": 20}, "For 10% write 0.1"),
    (BatchConfig, {"rows": 0}, "batch.rows"),
    (LoraConfig, {"rank": 0}, "lora.rank"),
    (LoraConfig, {"alpha": 0}, "lora.alpha"),
    (LoraConfig, {"dropout": 1}, "For 10% write 0.1"),
    (LoraConfig, {"targets": []}, "lora.targets is empty"),
    (TrainingConfig, {"steps": 3, "epochs": 1}, "steps and epochs"),
    (TrainingConfig, {"epochs": 0}, "epochs"),
    (TrainingConfig, {"precision": "fp8"}, "bfloat16"),
]


@pytest.mark.parametrize(("kind", "settings", "words"), WRONG)
def test_a_setting_that_cannot_be_is_named(kind, settings, words):
    with pytest.raises(BadRequest, match=words):
        kind(**settings)


def test_a_run_must_be_told_its_model_and_its_length():
    with pytest.raises(BadRequest, match=r"model\.path"):
        TrainedModelConfig().shape()
    with pytest.raises(BadRequest, match="steps, tokens and epochs"):
        TrainingConfig().total_steps(100, 16)


@pytest.mark.parametrize(("length", "steps"), [({"steps": 7}, 7), ({"tokens": 1e4}, 20), ({"epochs": 2.5}, 8)])
def test_length_in_tokens_and_epochs_becomes_steps(length, steps):
    assert TrainingConfig(batch=BatchConfig(rows=32), **length).total_steps(rows=100, window=16) == steps


def test_a_rounding_error_is_no_step():
    settings = TrainingConfig(batch=BatchConfig(rows=1), epochs=0.07)
    assert settings.total_steps(rows=100, window=16) == 7
    assert TrainingConfig(epochs=1e-12).total_steps(rows=100, window=16) == 1


def test_importing_the_settings_loads_no_heavy_library():
    import subprocess
    import sys

    code = "import sys, operators.learn.training.config, operators.learn.training.schedule, operators.learn.training.data.order; "
    assert (
        subprocess.run([sys.executable, "-c", code + "sys.exit('torch' in sys.modules)"], check=False).returncode == 0
    )
