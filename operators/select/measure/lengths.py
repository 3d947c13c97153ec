"""How many tokens the rows of a pool have.

Shapes: N rows.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from operators.errors import BadRequest
from operators.examples.base import Example, ExampleConfig
from operators.examples.prompting import Prompting, PromptingConfig, Tokens
from operators.select.measure.base import examples_in, features
from operators.settings import setting

COLUMNS = COUNTS = ("prompt_tokens", "answer_tokens", "tokens")


@dataclass
class LengthsConfig:
    """Which tokens are counted."""

    tokenizer: str | None = setting(
        None,
        "tokenizer that counts: a model folder (local or s3://), a tokenizer.json, or a hub name; null: that of scorer.path",
    )


class Lengths:
    """Count tokens: prompt_tokens (question and template), answer_tokens and tokens, int32. Needs no model.

    Plain text is an answer without a prompt. Raises BadRequest where there is no tokenizer.
    """

    def __init__(self, config: LengthsConfig, prompting: PromptingConfig, examples: ExampleConfig):
        if not config.tokenizer:
            raise BadRequest(
                "lengths.tokenizer is not given: a model folder, a tokenizer.json, or a model name of the hub."
            )
        self.examples = examples
        self.prompting = Prompting(prompting, config.tokenizer, examples.turns)

    def __call__(self, rows: pa.Table) -> pa.Table:
        read = examples_in(rows, self.examples)
        tokens = iter(self.prompting.tokenise([example for example in read if isinstance(example, Example)]))
        found = [next(tokens) if isinstance(example, Example) else example for example in read]
        known_N = np.array([isinstance(each, Tokens) for each in found], dtype=bool)
        counts_N3 = np.zeros((len(found), 3), np.int32)
        reasons: list[str | None] = [None] * len(found)
        for number, each in enumerate(found):
            if isinstance(each, Tokens):
                counts_N3[number] = each.prompt_tokens, each.answer_tokens, len(each.ids)
            else:
                reasons[number] = each if isinstance(each, str) else each.reason
        columns = {name: pa.array(counts, mask=~known_N) for name, counts in zip(COUNTS, counts_N3.T, strict=True)}
        return features(rows, columns, reasons)
