import re

import pytest

from operators.errors import BadRequest
from operators.models.demo_model import DemoModelConfig, docstrings, make_demo_model
from operators.models.demo_model.circuits import lay_copying_circuit
from operators.models.demo_model.rewriting import medium, qa
from operators.rewrite.prompts import load_prompt

pytestmark = pytest.mark.model
TINY = DemoModelConfig(vocabulary=512, width=96, head=32, layers=2, steps=2, batch_tokens=400)


@pytest.fixture(scope="module")
def documents():
    return list(docstrings())


@pytest.fixture(autouse=True, scope="module")
def few_documents(documents):
    """A handful of texts for the training, which would otherwise read the whole library each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("operators.models.demo_model.make.docstrings", lambda: documents[:50])
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory, few_documents):
    return make_demo_model(tmp_path_factory.mktemp("models") / "demonstration-model", TINY)


def test_the_documents_are_many_distinct_paragraphs_of_prose(documents):
    texts = [document["text"] for document in documents]
    assert len(texts) > 1000
    assert len(set(texts)) == len(texts) == len({document["id"] for document in documents})
    assert all(re.fullmatch(r"[A-Z][^\n]*\.", text) for text in texts)


def test_the_documents_come_in_the_same_order_each_time(documents):
    again = docstrings()
    assert [next(again) for _ in range(100)] == documents[:100]


def test_medium_says_it_in_other_words():
    assert medium("Return the given name. If the list is empty, an exception is raised.") == (
        "Give back the supplied name. In case the list is blank, an error is thrown."
    )


def test_names_and_code_are_left_as_they_are():
    kept = "Call_me and self.call and call() and 'call' stay with RETURN and use-cases."
    assert medium(kept) == kept


def test_qa_asks_after_the_beginning_and_answers_with_the_passage():
    assert qa("The file is new. Then it is closed.") == (
        "Question: What is said about the file?\nAnswer: The file is fresh. After that it is closed."
    )
    assert qa("If it fails, the error is kept.") == "Question: What happens if it fails?\nAnswer: The error is kept."
    assert qa("Create a new file.") == "Question: What does it do?\nAnswer: Its task is to make a fresh file."


def test_the_copying_circuit_copies_before_any_training():
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape = {"vocab_size": 512, "hidden_size": 192, "intermediate_size": 192, "num_hidden_layers": 2, "head_dim": 64}
    heads = {"num_attention_heads": 3, "num_key_value_heads": 3, "rope_theta": 1e6, "attention_bias": True}
    model = LlamaForCausalLM(LlamaConfig(**shape, **heads, tie_word_embeddings=True))
    lay_copying_circuit(model)
    tokens_BT = torch.randperm(512)[:240].view(8, 30)
    with torch.no_grad():
        best_BT = model(torch.cat([tokens_BT, tokens_BT], 1)).logits.argmax(-1)
    copied = best_BT[:, 32:-1] == tokens_BT[:, 3:]
    assert copied.float().mean() > 0.95


def test_the_folder_is_a_model_that_says_what_it_is(folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    prompt = tokenizer("Return the name.", return_tensors="pt")
    assert model.generate(**prompt, max_new_tokens=4).shape[1] > prompt["input_ids"].shape[1]
    assert model.config.architectures == ["LlamaForCausalLM"]
    assert "demonstration" in (folder / "README.md").read_text()
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name]


@pytest.mark.parametrize("order", ["instruction_first", "text_first"])
@pytest.mark.parametrize("style", ["medium", "qa"])
def test_the_chat_template_renders_the_form_that_was_trained(folder, style, order):
    from transformers import AutoTokenizer

    messages = load_prompt(style).messages("What is a 'Question:'? ", system="You help.", order=order)
    rendered = AutoTokenizer.from_pretrained(folder).apply_chat_template(
        list(messages), tokenize=False, add_generation_prompt=True
    )
    assert rendered == f"<|{style}|> What is a 'Question:'?<|{style}|>"


def test_a_second_call_leaves_the_model_as_it_is_and_another_shape_replaces_it(folder, tmp_path):
    lines = []
    made = make_demo_model(tmp_path / "model", TINY, lines.append)
    before = (made / "model.safetensors").stat().st_mtime_ns
    assert lines
    lines.clear()
    assert make_demo_model(made, TINY, lines.append) == made
    assert not lines and (made / "model.safetensors").stat().st_mtime_ns == before
    make_demo_model(made, DemoModelConfig(**{**vars(TINY), "seed": 1}), lines.append)
    assert (made / "model.safetensors").stat().st_mtime_ns != before


def test_the_same_settings_make_the_same_weights(folder, tmp_path):
    again = make_demo_model(tmp_path / "model", TINY)
    assert (again / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_a_folder_that_holds_something_else_is_not_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BadRequest, match="is no demonstration model"):
        make_demo_model(tmp_path, TINY)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
