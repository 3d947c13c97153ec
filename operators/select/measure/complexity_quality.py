"""How complex the questions and how good the answers of rows are, by models that score with digits (DEITA).

Shapes: N rows, K pairs of question and answer in a row, J = 6 digits.
"""

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from operators.errors import BadRequest
from operators.examples.base import Example, ExampleConfig
from operators.select.measure.base import ModelConfig, features
from operators.select.measure.reading.digits import Digits
from operators.settings import setting

COLUMNS = ("complexity", "quality")
DIGITS = 6
COMPLEXITY = (
    "Rate from 1 (very easy) to 6 (very hard) how complex the following request is.\n\n"
    "Request: {instruction}\n\nComplexity: "
)
QUALITY = (
    "Rate from 1 (useless) to 6 (outstanding) how good the following response to a request is.\n\n"
    "Request: {instruction}\n\nResponse: {output}\n\nQuality: "
)
SLOTS = re.compile(r"\{(instruction|output)\}")


@dataclass
class ComplexityQualityConfig:
    """Who scores besides the scorer, and with how long a text."""

    quality_model: str | None = setting(None, "model that scores answers; null: the scorer, which scores questions too")
    complexity_prompt: str | None = setting(
        None, "text file with the prompt for a question's complexity, {instruction} in its place; null: our own words"
    )
    quality_prompt: str | None = setting(
        None,
        "text file with the prompt for an answer's quality, {instruction} and {output} in their places; null: our own",
    )
    max_tokens: int = setting(4096, "tokens of what a scorer is asked at most; longer rows are too_long")

    def __post_init__(self):
        if self.max_tokens < 1:
            raise BadRequest(f"complexity_quality.max_tokens is a number of tokens from 1, got {self.max_tokens}.")


class ComplexityQuality:
    """Measure `complexity` and `quality`, float32: their product is the sum over turns of complexity x quality.

    A turn's score is the expected digit under the softmax of the logits of 1 to 6. Complexity is summed over turns; quality is
    its mean with the complexities as weights. A general model gives a rough order with our prompts. DEITA's own scorers
    (hkust-nlp/deita-complexity-scorer and deita-quality-scorer) want those that they were trained with, letter by letter, in
    two files: the templates in src/deita/selection/scorer/llama_scorer.py of https://github.com/hkust-nlp/deita, which end
    with the blank after the colon. Source: DEITA, arXiv:2312.15685, section 2.
    """

    def __init__(self, config: ComplexityQualityConfig, model: ModelConfig, examples: ExampleConfig):
        self.prompts = prompts(config)
        self.complexity = Digits(model, examples, DIGITS, config.max_tokens)
        self.quality = self.complexity
        if config.quality_model and config.quality_model != model.path:
            self.quality = Digits(replace(model, path=config.quality_model), examples, DIGITS, config.max_tokens)

    def __call__(self, rows: pa.Table) -> pa.Table:
        of_question, of_answer = self.prompts
        questions, reasons = self.complexity(rows, lambda example: _written(of_question, example))
        answers, others = self.quality(rows, lambda example: _written(of_answer, example))
        columns: dict[str, list[float | None]] = {name: [] for name in COLUMNS}
        for question_KJ, answer_KJ in zip(questions, answers, strict=True):
            known = question_KJ is not None and answer_KJ is not None
            of_row = _scores(expected(question_KJ), expected(answer_KJ)) if known else (None, None)
            for name, value in zip(columns, of_row, strict=True):
                columns[name].append(value)
        joined = [reason or other for reason, other in zip(reasons, others, strict=True)]
        return features(rows, {name: pa.array(each, pa.float32()) for name, each in columns.items()}, joined)


def prompts(config: ComplexityQualityConfig) -> tuple[str, str]:
    """Give the prompts for complexity and quality. Raises BadRequest for a file that is none."""
    complexity = _prompt("complexity_prompt", config.complexity_prompt, {"instruction"}) or COMPLEXITY
    return complexity, _prompt("quality_prompt", config.quality_prompt, {"instruction", "output"}) or QUALITY


def _prompt(name: str, file: str | None, slots: set[str]) -> str | None:
    """Read a prompt from its file; the line end that editors put after the last line is no part of it."""
    if file is None:
        return None
    try:
        prompt = Path(file).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"complexity_quality.{name} {file} cannot be read ({error}). Give a text file.") from error
    if set(SLOTS.findall(prompt)) != slots:
        wanted = " and ".join(f"{{{slot}}}" for slot in sorted(slots))
        raise BadRequest(
            f"complexity_quality.{name} {file} must have the slots {wanted}, where question and answer go, no others."
        )
    return prompt.removesuffix("\n")


def expected(logits_KJ: np.ndarray) -> np.ndarray:
    """Give the expected digit, float64 (K): sum_j j P'_j with P' the softmax of the digits' logits alone."""
    weights_KJ = np.exp(logits_KJ.astype(np.float64) - logits_KJ.max(axis=1, keepdims=True))
    return weights_KJ @ np.arange(1, logits_KJ.shape[1] + 1) / weights_KJ.sum(axis=1)


def _scores(complexity_K: np.ndarray, quality_K: np.ndarray) -> tuple[float, float]:
    return float(complexity_K.sum()), float((complexity_K * quality_K).sum() / complexity_K.sum())


def _written(prompt: str, example: Example) -> list[str]:
    """Write what is asked about each answer and the turn before it; an answer that opens a chat answers nothing."""
    turns = [turn for turn in example.turns if turn.role != "system"]
    pairs = [(before, turn) for before, turn in pairwise(turns) if turn.role == "assistant"]
    asked = pairs or [(replace(turns[-1], content=""), turns[-1])]
    return [_filled(prompt, question.content, answer.content) for question, answer in asked]


def _filled(prompt: str, question: str, answer: str) -> str:
    """Put texts into the slots of a prompt, whatever is written in them."""
    said = {"instruction": question, "output": answer}
    return SLOTS.sub(lambda slot: said[slot[1]], prompt)
