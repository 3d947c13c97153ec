import json
import subprocess
import sys

import pytest

from operators.errors import BadRequest
from operators.models.engines.context import check_vllm_arguments, model_facts
from tests.tiny_model import make_tiny_model


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_a_folder_tells_its_context_and_its_template(tiny_model, tmp_path):
    facts = model_facts(tiny_model)
    assert (facts.context_tokens, facts.folder, facts.has_chat_template) == (512, tiny_model, True)
    plain = model_facts(str(make_tiny_model(tmp_path, context_tokens=128, chat_template=False)))
    assert (plain.context_tokens, plain.has_chat_template) == (128, False)


def model_of(folder, config, **files):
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "model.safetensors"):
        (folder / name).write_text("{}")
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return str(folder)


def test_the_context_of_older_and_of_nested_configs_is_found(tmp_path):
    assert model_facts(model_of(tmp_path, {"n_positions": 1024})).context_tokens == 1024
    nested = {"text_config": {"max_position_embeddings": 4096}, "vision_config": {}}
    assert model_facts(model_of(tmp_path, nested)).context_tokens == 4096
    assert model_facts(model_of(tmp_path, {"model_type": "mamba"})).context_tokens is None


def test_a_template_in_the_tokenizers_config_counts(tmp_path):
    assert model_facts(model_of(tmp_path, {}, tokenizer_config={"chat_template": "{{ messages }}"})).has_chat_template


def test_a_folder_that_is_no_model_is_refused_with_what_is_missing(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BadRequest, match=r"tokenizer.*weights.*missing"):
        model_facts(str(tmp_path))


def test_a_broken_config_is_refused_by_name(tmp_path):
    folder = model_of(tmp_path, {})
    (tmp_path / "config.json").write_text('{"max_position')
    with pytest.raises(BadRequest, match=r"config\.json"):
        model_facts(folder)


def test_a_folder_that_is_not_there_names_its_neighbours(tmp_path):
    (tmp_path / "smol-135m").mkdir()
    with pytest.raises(BadRequest, match="Beside it there is smol-135m"):
        model_facts(str(tmp_path / "smol-135"))


@pytest.mark.parametrize("model", ["", "./nothing", "nobody/no-such-model", "no such name"])
def test_a_model_that_is_nowhere_is_refused_with_advice(model):
    with pytest.raises(BadRequest, match="model folder"):
        model_facts(model)


def test_a_model_in_the_hubs_cache_needs_no_network(monkeypatch, tmp_path):
    snapshot = tmp_path / "models--some--model" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    model_of(snapshot, {"max_position_embeddings": 2048})
    (tmp_path / "models--some--model" / "refs").mkdir()
    (tmp_path / "models--some--model" / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    facts = model_facts("some/model")
    assert (facts.context_tokens, facts.folder) == (2048, str(snapshot))


def test_vllms_own_arguments_pass():
    pytest.importorskip("vllm")
    own = {"model": "x", "max_num_seqs": 8, "speculative_config": {}, "enable_log_requests": True}
    assert check_vllm_arguments(own) is None
    with pytest.raises(BadRequest, match="not_vllms"):
        check_vllm_arguments(own | {"not_vllms": 1})


def test_a_misspelt_argument_is_refused_with_the_right_one():
    pytest.importorskip("vllm")
    with pytest.raises(BadRequest, match=r"engine\.vllm\.max_model_length.*max_model_len"):
        check_vllm_arguments({"model": "x", "max_model_length": 512})


def test_arguments_without_a_model_are_refused():
    pytest.importorskip("vllm")
    with pytest.raises(BadRequest, match=r"engine\.vllm\.model"):
        check_vllm_arguments({"max_num_seqs": 8})


def test_without_vllm_the_message_says_how_to_install_it_and_what_else_to_choose(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadRequest, match=r"gristmill\[gpu\].*engine\.transformers"):
        check_vllm_arguments({"model": "x"})


def test_the_checks_import_nothing_heavy(tiny_model):
    code = (
        "import sys; from operators.models.engines.context import model_facts, check_vllm_arguments; "
        f"model_facts({tiny_model!r}); check_vllm_arguments({{'model': 'x'}}); "
        "assert not {'torch', 'vllm', 'transformers'} & set(sys.modules)"
    )
    pytest.importorskip("vllm")
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_a_model_whose_weights_changed_is_another_one(tmp_path):
    def contents(weights: bytes) -> str:
        model_of(tmp_path, {"max_position_embeddings": 64})
        (tmp_path / "model.safetensors").write_bytes(weights)
        return model_facts(str(tmp_path)).contents

    weights = bytes(3 * 2**20)
    assert contents(weights) == contents(weights)
    assert len({contents(weights), contents(weights[:-1] + b"x"), contents(weights + b"x")}) == 3
