import json

import numpy as np
import pyarrow as pa
import pytest

from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.examples.prompting import PromptingConfig
from operators.select.evaluate import Evaluate, EvaluateConfig, metrics, with_answers
from operators.select.measure.base import ModelConfig, NotFinite
from tests.tiny_model import make_tiny_model

pytestmark = pytest.mark.model
ANSWERS = ["location", "number", "a person", "설명"]
QUESTIONS = [
    "Where does the river stand?",
    "How many mills are there?",
    "Who paid for the stones?",
    "물레방아는 무엇인가?",
]


@pytest.fixture(scope="module")
def student(tmp_path_factory) -> str:
    return str(make_tiny_model(tmp_path_factory.mktemp("student"), seed=3))


def rows_of(*records: dict) -> pa.Table:
    return pa.table(
        {"id": [f"r{row}" for row in range(len(records))], "record": [json.dumps(each) for each in records]}
    )


@pytest.fixture
def rows() -> pa.Table:
    return rows_of(
        *({"instruction": q, "output": a} for q, a in zip(QUESTIONS, ANSWERS, strict=True)),
        {"instruction": "Which word?", "output": "mill", "choices": ["wheel", "mill", "wheel"]},
    )


def evaluate_of(student: str, batch_tokens: int | None = None, **settings) -> Evaluate:
    model = ModelConfig(path=student, device="cpu", batch_tokens=batch_tokens)
    return Evaluate(EvaluateConfig(**settings), model, PromptingConfig("tulu"), ExampleConfig())


def naive_losses(student: str, question: str, answer: str) -> list[float]:
    """Give -log P of each token of an answer behind its prompt, by the model's own forward in float64."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(student)
    model = AutoModelForCausalLM.from_pretrained(student, dtype=torch.float64).eval()
    full = f"<|user|>\n{question}\n<|assistant|>\n{answer}"
    encoded = tokenizer(full, return_offsets_mapping=True, add_special_tokens=False)
    ids, begin = encoded["input_ids"], len(full) - len(answer)
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    logs = torch.log_softmax(logits, -1)
    first = [place for place, (start, _) in enumerate(encoded["offset_mapping"]) if start >= begin]
    return [-float(logs[place - 1, ids[place]]) for place in first]


@pytest.mark.parametrize("ranked_by", ["sum", "mean"])
def test_losses_and_choices_are_those_of_a_plain_loop_in_float64(student, rows, ranked_by):
    out = evaluate_of(student, answers=ANSWERS, ranked_by=ranked_by)(rows).to_pylist()
    for row, record in zip(out, map(json.loads, rows["record"].to_pylist()), strict=True):
        choices = record.get("choices", ANSWERS)
        losses = {answer: naive_losses(student, record["instruction"], answer) for answer in choices}
        own = losses[record["output"]]
        assert row["answer_loss"] == pytest.approx(np.mean(own), abs=2e-5)
        assert row["answer_tokens"] == len(own)
        reduce = sum if ranked_by == "sum" else np.mean
        best = min(losses, key=lambda answer: reduce(losses[answer]))
        assert row["predicted"] == best
        assert row["correct"] == (best == record["output"])
        assert row["reason"] is None


def test_batches_change_nothing(student, rows):
    one, many = (evaluate_of(student, tokens, answers=ANSWERS)(rows) for tokens in (1, 9999))
    assert one["predicted"] == many["predicted"]
    np.testing.assert_allclose(one["answer_loss"], many["answer_loss"], atol=2e-5)


def test_a_row_that_cannot_be_evaluated_has_a_reason_and_leaves_the_others_alone(student, rows):
    bad = rows_of(
        {"instruction": "Where?", "output": ""},
        {"instruction": "Where?", "output": "nowhere"},
        {"instruction": "mill " * 600, "output": "location"},
        {"text": "The mill stands by the river."},
        {"instruction": QUESTIONS[0], "output": ANSWERS[0]},
    )
    evaluate = evaluate_of(student, answers=ANSWERS)
    out = evaluate(bad).to_pylist()
    assert [row["reason"] for row in out] == ["no_answer", "answer_not_a_choice", "too_long", None, None]
    assert [row["answer_loss"] is None for row in out] == [True, False, True, False, False]
    assert [row["correct"] is None for row in out] == [True, True, True, True, False]
    assert out[4]["answer_loss"] == pytest.approx(evaluate(rows).to_pylist()[0]["answer_loss"], abs=2e-5)
    assert evaluate(bad.slice(0, 0)).schema == evaluate(bad).schema


def test_without_answers_there_is_a_loss_and_no_prediction(student, rows):
    out = evaluate_of(student)(rows.slice(0, 4)).to_pylist()
    assert all(row["predicted"] is None and row["correct"] is None and row["answer_loss"] > 0 for row in out)


@pytest.mark.parametrize("flags", [(1, 1), (1, 0), (None, 0), (0, 1)])
def test_the_last_answer_is_asked_for_whatever_the_turns_say_of_learning(student, flags):
    def messages(flags):
        said = zip(("Why?", QUESTIONS[0]), ("mill", ANSWERS[0]), flags, strict=True)
        turns = (
            [{"role": "user", "content": asked}, {"role": "assistant", "content": answer, "weight": flag}]
            for asked, answer, flag in said
        )
        return {"messages": [turn for pair in turns for turn in pair]}

    evaluate = evaluate_of(student, answers=ANSWERS)
    evaluate.examples.turns = "all"
    plain, flagged = evaluate(rows_of(messages((None, None)), messages(flags))).drop_columns("id").to_pylist()
    assert flagged == plain and plain["reason"] is None


def test_a_row_whose_choices_are_a_null_of_pandas_chooses_among_the_answers_of_all(student, rows):
    row = {"instruction": QUESTIONS[0], "output": ANSWERS[0]}
    out = evaluate_of(student, answers=ANSWERS)(rows_of(row, row | {"choices": float("nan")}))
    first, second = out.drop_columns("id").to_pylist()
    assert first == second and second["reason"] is None and second["predicted"] in ANSWERS


def test_the_answers_of_a_set_are_candidates_while_they_are_few(rows):
    config = EvaluateConfig()
    assert with_answers(config, [rows.slice(0, 2), rows.slice(2, 2)], ExampleConfig()).answers == sorted(ANSWERS)
    config.most_answers = 3
    assert with_answers(config, [rows], ExampleConfig()).answers is None
    assert with_answers(config, [rows.slice(0, 1)], ExampleConfig()).answers is None
    assert with_answers(EvaluateConfig(answers=["x"]), [rows], ExampleConfig()).answers == ["x"]


def test_bad_settings_say_what_to_do():
    with pytest.raises(BadRequest, match="sum or mean"):
        EvaluateConfig(ranked_by="most")
    with pytest.raises(BadRequest, match="'yes' twice"):
        EvaluateConfig(answers=["yes", "no", "yes"])
    with pytest.raises(BadRequest, match=r"scorer\.path"):
        Evaluate(EvaluateConfig(), ModelConfig(), PromptingConfig(), ExampleConfig())


def test_a_broken_model_is_an_error_that_names_the_row(tmp_path, rows):
    import torch
    from transformers import AutoModelForCausalLM

    broken = make_tiny_model(tmp_path / "broken")
    model = AutoModelForCausalLM.from_pretrained(broken)
    model.model.norm.weight.data.fill_(torch.nan)
    model.save_pretrained(broken)
    with pytest.raises(NotFinite, match="r0"):
        evaluate_of(str(broken), answers=ANSWERS)(rows)


def test_metrics_are_those_of_scikit_learn():
    from sklearn.metrics import accuracy_score, f1_score

    rng = np.random.default_rng(0)
    answers, predicted = rng.choice(["a", "b", "c", "한"], (2, 60), p=[0.5, 0.3, 0.1, 0.1]).tolist()
    predicted = ["only predicted", *predicted[1:]]
    losses, tokens = rng.uniform(1, 3, 60), rng.integers(1, 5, 60)
    rows = [
        {"id": str(row), "answer_loss": losses[row], "answer_tokens": int(tokens[row]), "answer": answers[row],
         "predicted": predicted[row], "correct": answers[row] == predicted[row], "reason": None}
        for row in range(60)
    ]  # fmt: skip
    rows.append(dict.fromkeys(rows[0]) | {"id": "bad", "reason": "too_long"})
    table = pa.Table.from_pylist(rows)
    out = metrics([table.slice(0, 20), table.slice(20)])
    assert out["accuracy"] == pytest.approx(accuracy_score(answers, predicted))
    assert out["macro_f1"] == pytest.approx(f1_score(answers, predicted, average="macro", zero_division=0))
    assert out["answer_loss"] == pytest.approx(np.average(losses, weights=tokens))
    assert out["answer_loss_per_example"] == pytest.approx(losses.mean())
    assert (out["rows"], out["scored_rows"], out["ranked_rows"], out["excluded"]) == (61, 60, 60, {"too_long": 1})
    assert sum(each["rows"] for each in out["classes"]) == sum(each["predicted"] for each in out["classes"]) == 60
    assert metrics([table], most_classes=2)["macro_f1"] is None


def test_metrics_of_nothing_are_none():
    out = metrics([])
    assert (out["rows"], out["answer_loss"], out["accuracy"], out["macro_f1"]) == (0, None, None, None)
