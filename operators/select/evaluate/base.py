"""How a student is evaluated, and what comes of it. Free of heavy libraries."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from operators.errors import BadRequest
from operators.examples.base import ExampleConfig, NoExample, example_of
from operators.settings import setting

RANKED_BY = ("sum", "mean")
NOT_A_CHOICE = "answer_not_a_choice"


@dataclass
class EvaluateConfig:
    """Which answers there are to choose from, and how they are ranked."""

    choices_column: str = setting("choices", "column with the answers that a row gives to choose from: a list of texts")
    answers: list[str] | None = setting(
        None, "answers to choose from in rows without choices of their own; null: such rows give a loss alone"
    )
    most_answers: int = setting(64, "different answers up to which an evaluation set is a choice among them")
    ranked_by: str = setting("sum", "what the chosen answer has most of: sum or mean of its tokens' log-probabilities")

    def __post_init__(self):
        if self.ranked_by not in RANKED_BY:
            raise BadRequest(f"evaluate.ranked_by is {self.ranked_by!r}. It may be {' or '.join(RANKED_BY)}.")
        if self.answers is not None and len(set(self.answers)) != len(self.answers):
            twice = next(answer for answer, count in Counter(self.answers).items() if count > 1)
            raise BadRequest(f"evaluate.answers has {twice!r} twice. List each answer once.")


def with_answers(config: EvaluateConfig, tables: Iterable[pa.Table], examples: ExampleConfig) -> EvaluateConfig:
    """Set `answers` to the different answers of a whole evaluation set (tables with `record`), sorted, if they are few.

    Nothing changes where answers are given, where there are more than `most_answers` of them, or only one.
    """
    if config.answers is not None:
        return config
    seen: set[str] = set()
    for table in tables:
        for record in table["record"].to_pylist():
            try:
                example = example_of(json.loads(record), examples)
            except NoExample:
                continue
            if example.turns:
                seen.add(example.answer)
        if len(seen) > config.most_answers:
            return config
    return replace(config, answers=sorted(seen)) if len(seen) > 1 else config


def metrics(tables: Iterable[pa.Table], most_classes: int = 64) -> dict[str, Any]:
    """Reduce what `Evaluate` returned to numbers; None where there is nothing to take a number from.

    `answer_loss` is in nats per answer token, over all tokens; `answer_loss_per_example` the mean of the examples' means.
    `macro_f1` is the mean F1 of all classes that are an answer or were predicted, 0 for one that is never right; with more
    than `most_classes` of them there is none. `excluded` counts by reason the rows without a loss or a prediction.
    """
    rows = [row for table in tables for row in table.to_pylist()]
    scored = [row for row in rows if row["answer_loss"] is not None]
    ranked = [(row["answer"], row["predicted"]) for row in rows if row["predicted"] is not None]
    tokens = sum(row["answer_tokens"] for row in scored)
    classes = _classes(ranked)
    few = 0 < len(classes) <= most_classes
    return {
        "rows": len(rows),
        "scored_rows": len(scored),
        "answer_tokens": tokens,
        "answer_loss": _ratio(sum(row["answer_loss"] * row["answer_tokens"] for row in scored), tokens),
        "answer_loss_per_example": _ratio(sum(row["answer_loss"] for row in scored), len(scored)),
        "ranked_rows": len(ranked),
        "accuracy": _ratio(sum(answer == predicted for answer, predicted in ranked), len(ranked)),
        "macro_f1": _ratio(sum(each["f1"] for each in classes), len(classes)) if few else None,
        "classes": classes if few else [],
        "excluded": dict(sorted(Counter(row["reason"] for row in rows if row["reason"] is not None).items())),
    }


def _classes(ranked: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """Count for each class its rows, its predictions and the right ones; F1 = 2 right / (rows + predictions)."""
    rows, predicted = Counter(answer for answer, _ in ranked), Counter(prediction for _, prediction in ranked)
    right = Counter(answer for answer, prediction in ranked if answer == prediction)
    return [
        {
            "class": name,
            "rows": rows[name],
            "predicted": predicted[name],
            "right": right[name],
            "f1": 2 * right[name] / (rows[name] + predicted[name]),
        }
        for name in sorted(rows | predicted)
    ]


def _ratio(above: float, below: float) -> float | None:
    return above / below if below else None
