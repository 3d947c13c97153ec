import json

import pytest
import torch

from operators.errors import BadRequest
from operators.learn.losses import build_loss
from operators.learn.losses.config import LossConfig
from operators.learn.training import checkpoint
from operators.learn.training.config import TrainedModelConfig
from operators.learn.training.data.feeding import Shards
from operators.learn.training.loop import Trainer
from operators.learn.training.parallel import World
from operators.text.tokenizer import contents_digest, load_tokenizer
from operators.tokens.rows import Packing
from tests.operators.learn.training.small import config, packed, shards
from tests.tiny_model import make_tiny_model

pytestmark = pytest.mark.model
ALONE = World(0, 1, torch.device("cpu"))


def trainer(of: Shards | None = None, tokenizer=None, **changes) -> Trainer:
    return Trainer(config(**changes), build_loss(LossConfig()), of or shards([9]), ALONE, tokenizer)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


def rows_for(folder) -> Shards:
    tokenizer = load_tokenizer(str(folder))
    packing = Packing(16, False, contents_digest(tokenizer), tokenizer.get_vocab_size(), 1)
    return Shards(packing, [9], lambda _: (packed(9, packing=packing), None))


def test_a_state_is_files_without_code_and_json(tmp_path):
    trainer().save_state(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state-00000.safetensors", "state.json"]


def test_a_large_state_is_written_in_several_files(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FILE_BYTES", 5000)
    first, second = trainer(), trainer()
    next(first.steps())
    first.save_state(tmp_path)
    assert len(json.loads((tmp_path / "state.json").read_text())["files"]) > 3
    second.restore(tmp_path)
    for ours, theirs in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        for moment in ("exp_avg", "exp_avg_sq", "step"):
            assert torch.equal(first.optimizer.state[ours][moment], second.optimizer.state[theirs][moment])


def test_a_state_that_was_cut_off_is_none(tmp_path):
    trainer().save_state(tmp_path)
    (tmp_path / "state.json").unlink()
    with pytest.raises(BadRequest, match=r"it has no state\.json"):
        trainer().restore(tmp_path)


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    return content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]


TENSORS = "state-00001.safetensors"


@pytest.mark.parametrize(("name", "damage"), [(TENSORS, cut), (TENSORS, flipped), (TENSORS, None), ("state.json", cut)])
def test_a_damaged_state_is_refused_by_the_name_of_the_file_and_changes_nothing(tmp_path, monkeypatch, name, damage):
    monkeypatch.setattr(checkpoint, "FILE_BYTES", 5000)
    trained, training = trainer(), trainer(seed=1)
    next(trained.steps())
    trained.save_state(tmp_path)
    file = tmp_path / name
    file.write_bytes(damage(file.read_bytes())) if damage else file.unlink()
    before = [values.detach().clone() for values in training.model.parameters()]
    with pytest.raises(BadRequest, match=f"{name} is damaged.*Take an earlier state"):
        training.restore(tmp_path)
    assert all(map(torch.equal, before, training.model.parameters()))


def test_the_state_of_another_model_is_refused(tmp_path):
    trainer().save_state(tmp_path)
    with pytest.raises(BadRequest, match=r"of another model: .* is \[61, 8\] here and \[61, 16\] there"):
        trainer(model=TrainedModelConfig(layers=2, heads=2, width=8)).restore(tmp_path)
    with pytest.raises(BadRequest, match="here and not there"):
        trainer(model=TrainedModelConfig(layers=3, heads=2, width=16, feed_forward=24)).restore(tmp_path)
    with pytest.raises(BadRequest, match=r"model\.layers\.1\..* is there and not here"):
        trainer(model=TrainedModelConfig(layers=1, heads=2, width=16, feed_forward=24)).restore(tmp_path)


def test_a_saved_model_is_a_hugging_face_folder_with_the_tokenizer(tmp_path, tiny):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    training = trainer(rows_for(tiny), tiny, model=TrainedModelConfig(path=str(tiny)))
    next(training.steps())
    training.save_model(tmp_path / "model")
    tokens = torch.arange(10)[None]
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    with torch.no_grad():
        assert torch.equal(loaded(tokens).logits, training.model.eval()(tokens).logits)
    assert AutoTokenizer.from_pretrained(tmp_path / "model")("the mill").input_ids
    assert contents_digest(load_tokenizer(str(tmp_path / "model"))) == training.shards.packing.tokenizer


def test_a_model_is_saved_in_the_precision_it_was_trained_in(tmp_path):
    from safetensors.torch import load_file

    training = trainer(precision="bfloat16")
    training.save_model(tmp_path)
    assert {values.dtype for values in load_file(tmp_path / "model.safetensors").values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"
    assert {values.dtype for values in training.model.parameters()} == {torch.float32}


def test_another_tokenizer_than_that_of_the_rows_is_refused(tiny):
    with pytest.raises(BadRequest, match="not the one that the rows were packed with"):
        trainer(shards([9]), tiny)
