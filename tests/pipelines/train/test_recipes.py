"""The recipes in configs/ are those of the papers."""

from pathlib import Path

import pytest

from operators.learn.training.schedule import learning_rate_share
from operators.tokens.rows import Packing
from pipelines.config import compose
from pipelines.pack.job import PackJob
from pipelines.train.job import PretrainJob

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
# Size: layers, heads, width, peak learning rate, parameters. WRAP, arXiv:2401.16380, section 3.
WRAP = {
    "128m": (12, 12, 768, 3e-4, 128e6),
    "350m": (24, 16, 1024, 3e-4, 350e6),
    "1.3b": (24, 16, 2048, 2e-4, 1.3e9),
}
WINDOW, STEPS, BATCH = 1024, 300_000, 2**20  # tokens of a row, steps, tokens of a step: a million


def recipe(size: str) -> PretrainJob:
    return compose(PretrainJob, str(CONFIGS / "pretrain" / f"wrap-{size}.yaml"), [])


def test_wraps_rows_are_windows_of_1024_tokens():
    assert compose(PackJob, str(CONFIGS / "pack" / "wrap.yaml"), []).pack.window == WINDOW


@pytest.mark.parametrize("size", WRAP)
def test_wraps_recipe_has_the_numbers_of_the_paper(size):
    layers, heads, width, lr, _ = WRAP[size]
    job = recipe(size)
    assert job.model.shape() == (layers, heads, width)
    assert job.total_steps(rows=10**9, window=WINDOW) == STEPS and job.batch.rows * WINDOW == BATCH
    optimizer, schedule = job.optimizer, job.schedule
    assert (optimizer.lr, optimizer.betas) == (lr, [0.9, 0.999])
    assert (optimizer.weight_decay, optimizer.clip) == (0.01, 1.0)
    assert schedule.name == "cosine"
    share = {step: learning_rate_share(step, STEPS, schedule) for step in (0, 1500, 3000, STEPS - 1)}
    assert max(share.values()) == share[3000] == 1 and share[1500] == pytest.approx(0.5, abs=1e-3) and share[0] < 0.001
    assert lr * share[STEPS - 1] == pytest.approx(1e-5, rel=1e-3)
    assert job.loss.name == "cross_entropy" and job.lora.rank is None


@pytest.mark.model
@pytest.mark.parametrize("size", WRAP)
def test_wraps_models_have_as_many_parameters_as_their_names_say(size):
    import torch
    from transformers import LlamaForCausalLM

    from operators.learn.training.model import llama_config

    packing = Packing(WINDOW, False, "that of GPT-2", vocabulary=50_257, eos=50_256)
    with torch.device("meta"):
        model = LlamaForCausalLM(llama_config(recipe(size).model, packing))
    assert sum(values.numel() for values in model.parameters()) == pytest.approx(WRAP[size][-1], rel=0.05)
    assert not any(isinstance(module, torch.nn.Dropout) and module.p for module in model.modules())
    assert model.config.attention_dropout == 0
