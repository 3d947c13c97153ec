"""How a language model rates rows (SelectIT): the logits of the digits 1 to 5 after each of several rating prompts.

Shapes: N rows, P rating prompts, J = 5 digits.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from operators.errors import BadRequest
from operators.examples.base import Example, ExampleConfig
from operators.select.measure.base import ModelConfig, features
from operators.select.measure.reading.digits import KIND, Digits
from operators.settings import setting

COLUMNS = (KIND,)
DIGITS = 5
PROMPTS = (
    "How well does the response below do what the instruction asks? Rate it from 1 (not at all) to 5 (perfectly).",
    "Judge the quality of this pair of instruction and response with one digit, where 1 is poor and 5 is excellent.",
    "Would this example teach an assistant to be helpful? Give 1 for surely not, 5 for surely, or a digit between them.",
    "Grade the response below for being correct, complete and clear. The worst grade is 1, the best grade is 5.",
    "On a scale from 1 to 5, how satisfied would the person who wrote the instruction be with the response?",
)


class Layout(NamedTuple):
    """How a row is written between the rating prompt and the place of the digit. `turns` are at most so many, null: all."""

    instruction: str
    response: str
    ending: str
    turns: int | None = None


LAYOUTS = {
    "default": Layout("Instruction:", "Response:", "The answer is: \n"),
    "official": Layout("Instruction:", "Response:", "The answer is: \n", turns=2),
    "as_released": Layout("Instruction: ", "Response: ", "The answer is: "),
}


@dataclass
class RatingConfig:
    """With which words a model is asked for ratings."""

    prompts: str | None = setting(None, "text file with a rating prompt in each line; null: five of our own")
    layout: str = setting(
        "default",
        "default: SelectIT's, all turns; official: its first question and answer alone; as_released: the comparison paper's code",
    )
    max_tokens: int = setting(8192, "tokens of a rating prompt with the row at most; longer rows are too_long")

    def __post_init__(self):
        if self.layout not in LAYOUTS:
            raise BadRequest(f"rating.layout is {self.layout!r}. It may be {', '.join(LAYOUTS)}.")
        if self.max_tokens < 1:
            raise BadRequest(f"rating.max_tokens is a number of tokens from 1, got {self.max_tokens}.")


class Rating:
    """Measure `digit_logits`: float32 lists of P x J numbers, the logits of the digits after each rating prompt.

    All levels and variants of SelectIT follow from these. A row of which one text is too long has none. Raises BadRequest for
    a model or a file of prompts that cannot serve. Source: SelectIT, arXiv:2402.16705; https://github.com/Blue-Raincoat/SelectIT.
    """

    def __init__(self, config: RatingConfig, model: ModelConfig, examples: ExampleConfig):
        self.prompts, self.layout = rating_prompts(config.prompts), LAYOUTS[config.layout]
        self.digits = Digits(model, examples, DIGITS, config.max_tokens)

    def __call__(self, rows: pa.Table) -> pa.Table:
        logits, reasons = self.digits(rows, self._texts)
        lists = [None if each is None else each.reshape(-1) for each in logits]
        return features(rows, {KIND: pa.array(lists, pa.list_(pa.float32()))}, reasons)

    def _texts(self, example: Example) -> list[str]:
        return [rating_text(prompt, example, self.layout) for prompt in self.prompts]


def rating_text(prompt: str, example: Example, layout: Layout) -> str:
    """Write what a model is asked; the next token is the rating. What nobody but the assistant says stands as an instruction."""
    labels = defaultdict(lambda: layout.instruction, assistant=layout.response)
    turns = example.turns
    if layout.turns:
        turns = [turn for turn in turns if turn.role != "system"][: layout.turns]
    return "\n".join([prompt, "", *(labels[turn.role] + turn.content for turn in turns), layout.ending])


def rating_prompts(file: str | None) -> tuple[str, ...]:
    """Read rating prompts, one per line, empty lines left out; ours where no file is given. Raises BadRequest."""
    if file is None:
        return PROMPTS
    try:
        lines = Path(file).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(
            f"rating.prompts {file} cannot be read ({error}). Give a text file with a prompt in each line."
        ) from error
    prompts = tuple(line for line in lines if line.strip())
    if not prompts:
        raise BadRequest(
            f"rating.prompts {file} has no prompt. Write one in each line, each asking for a digit from 1 to 5."
        )
    return prompts
