import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from transformers import AutoModelForCausalLM

from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.select.measure.base import ModelConfig, NotFinite
from operators.select.measure.rating import PROMPTS, Rating, RatingConfig
from tests.operators.select.measure.scorers import Plain, asked, make_scorer, pool

pytestmark = pytest.mark.model
QA = [
    ("What does a mill do?", "It grinds grain between two heavy stones."),
    ("Say it!", "!!!"),
    ("Which digit?", "The answer is: 3"),
    ("물레방아는?", "강가에 서 있다."),
]
CHAT = [("system", "Be brief."), ("user", "One?"), ("assistant", "Two."), ("user", "Three?"), ("assistant", "Four.")]
ROWS = pool(*(asked(*pair) for pair in QA))


@pytest.fixture(scope="module", params=[False, True], ids=["no_bos", "bos"])
def scorer(request, tmp_path_factory) -> tuple[str, Plain]:
    model = make_scorer(tmp_path_factory.mktemp("scorer"), bos=request.param)
    return model, Plain(model, request.param)


def rate(model: str, rows: pa.Table, batch_tokens: int | None = None, **config) -> pa.Table:
    scorer = ModelConfig(path=model, device="cpu", batch_tokens=batch_tokens)
    return Rating(RatingConfig(**config), scorer, ExampleConfig())(rows)


def plain_logits(plain: Plain, text: str) -> list[float]:
    """Log-probabilities of 1 to 5 after a text, up to one constant the logits."""
    log_probs = plain.log_probs([*plain.first, *plain.encode(text)])[-1]
    return [log_probs[plain.encode(str(digit))[0]].item() for digit in range(1, 6)]


def assert_same_ratings(given: list[float], plain: Plain, texts: list[str]) -> None:
    given_PJ = np.array(given).reshape(len(texts), 5)
    expected_PJ = np.array([plain_logits(plain, text) for text in texts])
    given_PJ, expected_PJ = (each - each.mean(axis=1, keepdims=True) for each in (given_PJ, expected_PJ))
    assert expected_PJ.std() > 0.1
    np.testing.assert_allclose(given_PJ, expected_PJ, atol=2e-5)


def chat(*turns: tuple[str, str]) -> dict:
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


def test_the_default_and_the_official_layout_are_the_same_for_one_question(scorer):
    model, plain = scorer
    for layout in ("default", "official"):
        for (question, answer), row in zip(QA, rate(model, ROWS, layout=layout).to_pylist(), strict=True):
            ending = f"\n\nInstruction:{question}\nResponse:{answer}\nThe answer is: \n"
            assert_same_ratings(row["digit_logits"], plain, [prompt + ending for prompt in PROMPTS])
            assert row["reason"] is None


def test_the_layout_of_the_paper_has_spaces_and_no_line_end(scorer):
    model, plain = scorer
    for (question, answer), row in zip(QA, rate(model, ROWS, layout="as_released").to_pylist(), strict=True):
        ending = f"\n\nInstruction: {question}\nResponse: {answer}\nThe answer is: "
        assert_same_ratings(row["digit_logits"], plain, [prompt + ending for prompt in PROMPTS])


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ("default", "Instruction:Be brief.\nInstruction:One?\nResponse:Two.\nInstruction:Three?\nResponse:Four."),
        ("official", "Instruction:One?\nResponse:Two."),
    ],
)
def test_all_turns_are_rated_and_by_the_official_code_the_first_two(scorer, layout, said):
    model, plain = scorer
    [row] = rate(model, pool(chat(*CHAT)), layout=layout).to_pylist()
    texts = [f"{prompt}\n\n{said}\nThe answer is: \n" for prompt in PROMPTS]
    assert_same_ratings(row["digit_logits"], plain, texts)


def test_prompts_are_read_from_a_file(scorer, tmp_path):
    model, plain = scorer
    file = tmp_path / "prompts.txt"
    file.write_text("Rate it from 1 to 5.\n\nHow good is it, 1 to 5?\n")
    [row] = rate(model, ROWS.slice(0, 1), prompts=str(file)).to_pylist()
    question, answer = QA[0]
    texts = [
        f"{prompt}\n\nInstruction:{question}\nResponse:{answer}\nThe answer is: \n"
        for prompt in ("Rate it from 1 to 5.", "How good is it, 1 to 5?")
    ]
    assert_same_ratings(row["digit_logits"], plain, texts)


def test_our_own_prompts_are_five_and_ask_for_a_digit():
    assert len(set(PROMPTS)) == 5
    assert all("1" in prompt and "5" in prompt and "\n" not in prompt for prompt in PROMPTS)


def test_batches_and_company_change_nothing_but_rounding(scorer):
    model, _ = scorer
    whole = rate(model, ROWS)
    alone = pa.concat_tables([rate(model, ROWS.slice(row, 1)) for row in range(len(ROWS))])
    for other in (rate(model, ROWS, batch_tokens=1), alone):
        given, expected = (np.array(table["digit_logits"].to_pylist()) for table in (other, whole))
        np.testing.assert_allclose(given, expected, atol=1e-5)


def test_a_row_that_cannot_be_rated_is_null_with_a_reason_and_moves_no_other(scorer):
    model, _ = scorer
    alone = rate(model, ROWS)["digit_logits"].to_pylist()
    odd = [asked("long", "very " * 400), "plain text", {"other": 1}]
    table = rate(model, pool(odd[0], *(asked(*pair) for pair in QA), *odd[1:]))
    assert table["reason"].to_pylist() == ["too_long", *[None] * len(QA), "no_prompt", "unknown_form"]
    given = table["digit_logits"].to_pylist()
    assert [each is None for each in given] == [True, *[False] * len(QA), True, True]
    np.testing.assert_allclose(given[1 : len(QA) + 1], alone, atol=1e-5)


def test_no_rows_have_no_ratings_and_the_same_columns(scorer):
    model, _ = scorer
    none = rate(model, ROWS.slice(0, 0))
    assert none.schema == rate(model, ROWS).schema and len(none) == 0


def test_a_tokenizer_without_single_digits_is_refused(scorer, tmp_path):
    model, _ = scorer
    _copy(model, tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary["four"] = vocabulary.pop("4")
    content["model"]["merges"] = [pair for pair in content["model"]["merges"] if "4" not in "".join(pair)]
    vocabulary = {token: number for token, number in vocabulary.items() if "4" not in token}
    content["model"]["vocab"] = vocabulary
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(BadRequest, match="no single token for 4"):
        rate(str(tmp_path), ROWS)


def test_a_model_that_gives_no_number_is_told_with_the_row_where_it_did(scorer, tmp_path):
    model, plain = scorer
    _copy(model, tmp_path)
    broken = AutoModelForCausalLM.from_pretrained(model)
    broken.get_input_embeddings().weight.data[plain.encode("Z")] = np.nan
    broken.save_pretrained(tmp_path)
    with pytest.raises(NotFinite, match=r"digit_logits.*rows row-1\. "):
        rate(str(tmp_path), pool(asked("good", "bread"), asked("bad", "Z"), asked("good", "stones")))


@pytest.mark.parametrize(("content", "message"), [("\n \n", "has no prompt"), (None, "cannot be read")])
def test_a_file_without_prompts_is_refused(scorer, tmp_path, content, message):
    model, _ = scorer
    file = tmp_path / "prompts.txt"
    if content is not None:
        file.write_text(content)
    with pytest.raises(BadRequest, match=message):
        rate(model, ROWS, prompts=str(file))


@pytest.mark.parametrize("config", [{"layout": "row_first"}, {"max_tokens": 0}])
def test_settings_that_cannot_work_are_refused(config):
    with pytest.raises(BadRequest, match=f"rating.{next(iter(config))}"):
        RatingConfig(**config)


def _copy(model: str, to: Path) -> None:
    for file in Path(model).iterdir():
        (to / file.name).write_bytes(file.read_bytes())
