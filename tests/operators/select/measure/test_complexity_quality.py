import numpy as np
import pytest

from operators.errors import BadRequest
from operators.examples.base import ExampleConfig
from operators.select.measure.base import ModelConfig
from operators.select.measure.complexity_quality import (
    COMPLEXITY,
    QUALITY,
    ComplexityQuality,
    ComplexityQualityConfig,
    prompts,
)
from tests.operators.select.measure.scorers import Plain, asked, make_scorer, pool

pytestmark = pytest.mark.model
PAIRS = [("What is {answer}?", "Two stones."), ("And then?", "Bread, until the first hard frost.")]


@pytest.fixture(scope="module")
def scorers(tmp_path_factory) -> list[str]:
    return [make_scorer(tmp_path_factory.mktemp("scorer"), seed=seed) for seed in (0, 1)]


def measure(model: str, *records, **settings) -> list[dict]:
    config = ComplexityQualityConfig(max_tokens=400, **settings)
    scorer = ModelConfig(path=model, device="cpu")
    return ComplexityQuality(config, scorer, ExampleConfig())(pool(*records)).to_pylist()


def plain_score(model: str, text: str) -> float:
    """The expected digit of 1 to 6, by the probabilities of the whole vocabulary."""
    plain = Plain(model, bos=False)
    log_probs = plain.log_probs(plain.encode(text))[-1]
    shares = np.exp([log_probs[plain.encode(str(digit))[0]].item() for digit in range(1, 7)])
    return float(np.arange(1, 7) @ shares / shares.sum())


def plain_pair(models: list[str], question: str, answer: str) -> tuple[float, float]:
    texts = COMPLEXITY.format(instruction=question), QUALITY.format(instruction=question, output=answer)
    return tuple(plain_score(model, text) for model, text in zip(models, texts, strict=True))


def test_scores_are_the_expected_digits_of_both_models(scorers):
    question, answer = PAIRS[0]
    [alone] = measure(scorers[0], asked(question, answer))
    [both] = measure(scorers[0], asked(question, answer), quality_model=scorers[1])
    expected = plain_pair(scorers, question, answer)
    assert (both["complexity"], both["quality"]) == pytest.approx(expected, abs=1e-4)
    assert alone["complexity"] == pytest.approx(both["complexity"])
    assert alone["quality"] == pytest.approx(plain_pair([scorers[0]] * 2, question, answer)[1], abs=1e-4)


def test_the_product_is_the_sum_over_turns_of_complexity_times_quality(scorers):
    turns = [("system", "Be brief."), *(turn for q, a in PAIRS for turn in (("user", q), ("assistant", a)))]
    [row] = measure(scorers[0], {"messages": [{"role": role, "content": text} for role, text in turns]})
    pairs = [plain_pair([scorers[0]] * 2, *pair) for pair in PAIRS]
    assert row["complexity"] == pytest.approx(sum(complexity for complexity, _ in pairs), abs=1e-4)
    assert row["complexity"] * row["quality"] == pytest.approx(sum(c * q for c, q in pairs), abs=1e-3)


def test_a_row_that_cannot_be_scored_is_null_with_a_reason_and_moves_no_other(scorers):
    [alone] = measure(scorers[0], asked(*PAIRS[0]))
    long, row, text = measure(scorers[0], asked("why?", "very " * 400), asked(*PAIRS[0]), "plain text")
    assert (long["complexity"], long["quality"], long["reason"]) == (None, None, "too_long")
    assert (text["complexity"], text["reason"]) == (None, "no_prompt")
    assert (row["complexity"], row["quality"]) == pytest.approx((alone["complexity"], alone["quality"]), rel=1e-5)


def test_scorers_may_be_asked_with_the_prompts_that_they_were_trained_with(scorers, tmp_path):
    forms = (
        "Say how hard.\n##Query: {instruction}  \n##Hard: ",
        "Say how good.\n#Q#:\n{instruction}\n#A#:\n{output} \n##Good: ",
    )
    files = [tmp_path / "complexity.txt", tmp_path / "quality.txt"]
    for file, form, end in zip(files, forms, ("", "\n"), strict=True):
        file.write_text(form + end)
    question, answer = "What is {output}? {x}", "{instruction} \\1"
    [row] = measure(scorers[0], asked(question, answer), complexity_prompt=str(files[0]), quality_prompt=str(files[1]))
    texts = [
        f"Say how hard.\n##Query: {question}  \n##Hard: ",
        f"Say how good.\n#Q#:\n{question}\n#A#:\n{answer} \n##Good: ",
    ]
    expected = [plain_score(scorers[0], text) for text in texts]
    assert [row["complexity"], row["quality"]] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("content, said", [("Rate it: ", "must have the slots"), (None, "cannot be read")])
def test_a_prompt_without_its_slots_or_a_file_is_told(tmp_path, content, said):
    file = tmp_path / "prompt.txt"
    if content:
        file.write_text(content)
    for name in ("complexity_prompt", "quality_prompt"):
        with pytest.raises(BadRequest, match=rf"complexity_quality\.{name} .*prompt.txt {said}"):
            prompts(ComplexityQualityConfig(**{name: str(file)}))
    file.write_text("{instruction} {output}")
    assert prompts(ComplexityQualityConfig(quality_prompt=str(file)))[1] == "{instruction} {output}"
    with pytest.raises(BadRequest, match=r"slots \{instruction\}, where"):
        prompts(ComplexityQualityConfig(complexity_prompt=str(file)))
