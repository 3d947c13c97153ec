"""Evaluate a student: what it makes of the answers of evaluation examples, and which answer it would choose.

Shapes: R rows; C contexts, each the prompt of a row with one answer.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from operators.examples.base import Example, ExampleConfig, NoExample, example_of
from operators.examples.prompting import PromptingConfig
from operators.examples.turns import without_nan
from operators.select.evaluate.base import NOT_A_CHOICE, EvaluateConfig
from operators.select.measure.base import ModelConfig, NotFinite, features

TYPES = {
    "answer_loss": pa.float32(),
    "answer_tokens": pa.int32(),
    "answer": pa.large_string(),
    "predicted": pa.large_string(),
    "correct": pa.bool_(),
}


@dataclass(frozen=True)
class Question:
    """A row to evaluate: its example, and the answers to choose from, the right one among them; or why it is not ranked."""

    example: Example
    choices: tuple[str, ...] = ()
    reason: str | None = None

    def examples(self) -> list[Example]:
        """Give the example with its own answer first, and then with each of the others to choose from."""
        *before, last = self.example.turns or (None,)
        others = [answer for answer in self.choices if answer != self.example.answer]
        return [
            self.example,
            *(replace(self.example, turns=(*before, replace(last, content=answer))) for answer in others),
        ]


class Evaluate:
    """Measure a student on rows of an evaluation set (operators/select/measure/base.py has the contract).

    Reads `id` and `record`. Returns `answer_loss` (float32, nats per token of the last answer, whatever `examples.turns` and the
    weight of a turn), `answer_tokens`, and where there are answers to choose from `answer` (the right one), `predicted` (the one
    with the most log-probability given the prompt; the first of equals) and `correct`. A row without a loss or a prediction has
    a reason: too_long, no_target, forward_failed, answer_not_a_choice, or why it is no example.
    Raises BadRequest where there is no such student, and NotFinite for a loss that is no number.
    """

    def __init__(self, config: EvaluateConfig, model: ModelConfig, prompting: PromptingConfig, examples: ExampleConfig):
        from operators.select.evaluate.answers import AnswerModel  # brings torch

        self.config, self.examples = config, examples
        self.model = AnswerModel(model, prompting)

    def __call__(self, rows: pa.Table) -> pa.Table:
        questions_R = [self._question(record) for record in rows["record"].to_pylist()]
        outcomes_R = list(self._outcomes(questions_R, rows["id"].to_pylist()))
        columns = {name: pa.array([each.get(name) for each in outcomes_R], kind) for name, kind in TYPES.items()}
        return features(rows, columns, [each.get("reason") for each in outcomes_R])

    def _question(self, record: str) -> Question | str:
        values = without_nan(json.loads(record))
        try:
            example = example_of(values, self.examples)
        except NoExample as refusal:
            return refusal.reason
        # Flags say what is learned: here the last answer is asked for.
        example = replace(example, turns=tuple(replace(turn, learned=None) for turn in example.turns))
        own = values.get(self.config.choices_column)
        choices = self.config.answers if own is None else own
        if not choices or not example.turns:
            return Question(example)
        if not isinstance(choices, list) or example.answer not in choices:
            return Question(example, reason=NOT_A_CHOICE)
        return Question(example, tuple(dict.fromkeys(map(str, choices))))

    def _outcomes(self, questions_R: list[Question | str], ids: list[str]) -> Iterator[dict]:
        examples_R = [each.examples() if isinstance(each, Question) else [] for each in questions_R]
        scores = self.model([example for examples in examples_R for example in examples])
        end = 0
        for id, question, examples in zip(ids, questions_R, examples_R, strict=True):
            begin, end = end, end + len(examples)
            if not isinstance(question, Question):
                yield {"reason": question}
                continue
            losses, tokens = scores.losses_C[begin:end], scores.tokens_C[begin:end]
            if not np.isfinite(losses).all():
                raise NotFinite(self.model.name, "answer_loss", [id])
            yield self._outcome(question, losses, tokens, scores.reasons_C[begin:end])

    def _outcome(self, question: Question, losses: np.ndarray, tokens: np.ndarray, reasons: list[str | None]) -> dict:
        """Judge a row by the losses of its own answer (the first) and of the others."""
        if reasons[0] is not None:
            return {"reason": reasons[0]}
        known = {"answer_loss": losses[0] / tokens[0], "answer_tokens": tokens[0], "reason": question.reason}
        if not question.choices:
            return known
        known["answer"] = question.example.answer
        failed = next((reason for reason in reasons if reason is not None), None)
        if failed is not None:
            return {**known, "reason": failed}
        scored = losses / tokens if self.config.ranked_by == "mean" else losses
        order = [question.example.answer, *(each for each in question.choices if each != question.example.answer)]
        of_answer = dict(zip(order, scored, strict=True))
        predicted = min(question.choices, key=of_answer.__getitem__)
        return {**known, "predicted": predicted, "correct": predicted == question.example.answer}
