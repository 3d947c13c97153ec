"""Training of adapters: they alone are trained and saved, as one process or as two, whole or resumed."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from operators.errors import BadRequest
from operators.learn.losses import build_loss
from operators.learn.losses.config import LossConfig
from operators.learn.training.config import BatchConfig, LoraConfig, OptimizerConfig, ScheduleConfig
from operators.learn.training.loop import Trainer
from operators.learn.training.parallel import World, whole
from operators.models.causal_lm import head_of, hidden_states, load_causal_lm
from operators.models.lora import Lora, Moments
from tests.operators.learn.training.ranks import in_ranks
from tests.operators.learn.training.small import config, packed, shards

pytestmark = pytest.mark.model
ALONE = World(0, 1, torch.device("cpu"))
LORA = LoraConfig(rank=4, alpha=8, dropout=0.0, targets=["q_proj", "v_proj"])
DROPPING = LoraConfig(rank=4, alpha=8, dropout=0.3, targets=["q_proj", "v_proj"])


def trainer(world: World = ALONE, **changes) -> Trainer:
    settings = {"lora": LORA, "batch": BatchConfig(rows=7, micro_rows=2)} | changes
    return Trainer(config(**settings), build_loss(LossConfig()), shards([5, 9, 4]), world)


def weights(training: Trainer) -> dict:
    return {name: whole(values.detach()).clone() for name, values in training.model.named_parameters()}


def assert_equal(left: dict, right: dict) -> None:
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


def trained_and_saved(world: World, folder: Path, **changes) -> tuple[dict, list]:
    training = trainer(world, **changes)
    figures = []
    for result in training.steps():
        figures.append((result.loss, result.grad_norm))
        if result.step == 2:
            training.save_state(folder / "state")
    training.save_model(folder / "model")
    training.save_moments(folder / "model", since=1)
    figures.append((training.evaluate(packed(5, seed=77)).loss, 0.0))
    return weights(training), figures


def test_adapters_are_trained_and_nothing_else():
    training = trainer()
    before = weights(training)
    first, *_ = training.steps()
    after = weights(training)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if ".lora_" in name} and len(changed) == 2 * 2 * 2
    assert {training.model.get_parameter(name) for name in changed} == set(training.optimizer.state)
    assert first.grad_norm > 0


def test_a_model_with_new_adapters_is_the_model_itself():
    plain, adapted = trainer(lora=LoraConfig()), trainer()
    tokens = torch.arange(2, 18)[None]
    with torch.no_grad():
        assert torch.equal(hidden_states(plain.model, tokens), hidden_states(adapted.model, tokens))
    assert head_of(adapted.model).weight_VH.shape == (61, 16)
    assert torch.equal(plain.model.lm_head.weight, adapted.model.lm_head.weight)


def test_the_state_has_the_adapters_alone(tmp_path):
    trained_and_saved(ALONE, tmp_path)
    (file,) = (tmp_path / "state").glob("*.safetensors")
    names = set(load_file(file))
    assert len(names) == 2 * 2 * 2 * 4 and all(".lora_" in name for name in names)


def test_an_interrupted_run_goes_on_bit_for_bit_with_its_dropout(tmp_path):
    all_of_it, figures = trained_and_saved(ALONE, tmp_path, lora=DROPPING, steps=4)
    training = trainer(lora=DROPPING, steps=4)
    training.restore(tmp_path / "state")
    torch.manual_seed(99)
    assert [(r.loss, r.grad_norm) for r in training.steps()] == figures[2:4]
    assert_equal(weights(training), all_of_it)


def test_dropout_is_there_in_training_and_not_in_evaluation():
    one, other = trainer(lora=DROPPING), trainer()
    for training in (one, other):
        with torch.no_grad():
            for name, values in training.model.named_parameters():
                values.add_(0.1 if ".lora_" in name else 0)
    table = packed(5, seed=77)
    assert one.evaluate(table).loss == other.evaluate(table).loss
    assert next(one.steps()).loss != next(other.steps()).loss


def test_a_state_of_adapters_does_not_fit_a_whole_model_nor_the_other_way_round(tmp_path):
    trained_and_saved(ALONE, tmp_path)
    with pytest.raises(BadRequest, match="of another model"):
        trainer(lora=LoraConfig()).restore(tmp_path / "state")
    whole_model = trainer(lora=LoraConfig())
    next(whole_model.steps())
    whole_model.save_state(tmp_path / "whole")
    with pytest.raises(BadRequest, match="of another model"):
        trainer().restore(tmp_path / "whole")


def test_the_saved_model_is_a_plain_one_with_what_was_learned(tmp_path):
    training = trainer()
    list(training.steps())
    training.save_model(tmp_path)
    saved = load_causal_lm(str(tmp_path))
    tokens = torch.arange(2, 18)[None]
    with torch.no_grad():
        torch.testing.assert_close(
            hidden_states(saved, tokens), hidden_states(training.model.eval(), tokens), rtol=1e-5, atol=1e-6
        )
    assert not any(".lora_" in name or ".base_layer" in name for name, _ in saved.named_parameters())
    assert not torch.equal(
        saved.model.layers[0].self_attn.q_proj.weight,
        trainer().model.state_dict()["model.layers.0.self_attn.q_proj.base_layer.weight"],
    )


def test_moments_are_kept_by_name_with_the_mean_rate_since_the_checkpoint_before(tmp_path):
    training = trainer(
        schedule=ScheduleConfig(name="linear", warmup_steps=0), optimizer=OptimizerConfig(lr=0.5), steps=4
    )
    rates = [result.lr for result in training.steps()]
    training.save_moments(tmp_path, since=1)
    moments = Moments.load(str(tmp_path))
    assert moments.learning_rate == pytest.approx(sum(rates[1:]) / 3) and rates == [0.5, 0.375, 0.25, 0.125]
    assert moments.lora == Lora(4, 8.0, ("q_proj", "v_proj"))
    for name, parameter in training.model.named_parameters():
        if ".lora_" in name:
            state = training.optimizer.state[parameter]
            assert torch.equal(moments.weights[name], parameter)
            assert torch.equal(moments.means[name], state["exp_avg"])
            assert torch.equal(moments.squares[name], state["exp_avg_sq"])
        else:
            assert name not in moments.weights


def test_a_checkpoint_puts_its_adapters_on_the_model_they_were_trained_on_and_on_no_other(tmp_path):
    training = trainer()
    list(training.steps())
    training.save_moments(tmp_path, since=0)
    plain = trainer(lora=LoraConfig()).model
    Moments.load(str(tmp_path)).put_on(plain)
    assert_equal(dict(plain.named_parameters()), weights(training))
    wider = trainer(lora=LoraConfig(), model=type(training.config.model)(layers=2, heads=2, width=32)).model
    with pytest.raises(BadRequest, match="do not fit LlamaForCausalLM"):
        Moments.load(str(tmp_path)).put_on(wider)


def test_a_folder_without_moments_is_refused(tmp_path):
    training = trainer()
    training.save_model(tmp_path)
    with pytest.raises(BadRequest, match=r"checkpoint\.moments=true"):
        Moments.load(str(tmp_path))


def test_moments_of_a_whole_model_are_not_saved(tmp_path):
    with pytest.raises(BadRequest, match=r"Give lora\.rank"):
        trainer(lora=LoraConfig()).save_moments(tmp_path, since=0)


def test_layers_that_are_not_there_are_named_with_those_that_are():
    with pytest.raises(BadRequest, match=r"lora\.targets names c_attn.*no linear layer.*down_proj, gate_proj, k_proj"):
        trainer(lora=LoraConfig(rank=4, targets=["q_proj", "c_attn"]))


def test_computing_layers_again_in_backward_changes_nothing(tmp_path):
    given, figures = trained_and_saved(ALONE, tmp_path, activation_checkpointing=True)
    expected, expected_figures = trained_and_saved(ALONE, tmp_path / "other")
    assert [loss for loss, _ in figures] == pytest.approx([loss for loss, _ in expected_figures], rel=1e-6)
    for name, values in expected.items():
        torch.testing.assert_close(given[name], values, rtol=1e-5, atol=1e-6)


def test_two_ranks_are_one_process(tmp_path):
    ranks = in_ranks(2, trained_and_saved, tmp_path / "two")
    expected, figures = trained_and_saved(ALONE, tmp_path / "one")
    for given, given_figures in ranks:
        for ours, theirs in zip(figures, given_figures, strict=True):
            assert theirs == pytest.approx(ours, rel=2e-5)
        for name, values in expected.items():
            torch.testing.assert_close(given[name], values, rtol=1e-4, atol=2e-5)
    one, two = (Moments.load(str(tmp_path / name / "model")) for name in ("one", "two"))
    assert two.learning_rate == one.learning_rate and two.lora == one.lora
    for kind in ("weights", "means", "squares"):
        for name, values in getattr(one, kind).items():
            torch.testing.assert_close(getattr(two, kind)[name], values, rtol=1e-3, atol=2e-5)
    one, two = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    resumed = trainer()
    resumed.restore(tmp_path / "two" / "state")
    list(resumed.steps())
    for name, values in weights(resumed).items():
        torch.testing.assert_close(values, expected[name], rtol=1e-4, atol=2e-5)
