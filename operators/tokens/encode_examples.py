"""Turn records into tokens for fine-tuning: prompts are read, answers are learned."""

import json

import pyarrow as pa

from operators.examples.base import STAGE, Example, ExampleConfig, NoExample, example_of
from operators.examples.prompting import Prompting, PromptingConfig
from operators.table import KINDS, living, reject, with_columns
from operators.tokens.encode_documents import TARGETS, EncodeConfig, begin_and_end, tokenizer_of


class EncodeExamples:
    """Add the tokens of each record, framed by `config.template`. Reads `text`, which is the record's JSON.

    Adds `tokens` and `targets`, which of them are learned: those of the answers, and the token that ends each; `unplaced`, what
    the example has and the template no place for; and `unused`, what the record has and no example a place for. A record that is
    no example is rejected, with the reason.
    """

    def __init__(self, config: EncodeConfig, examples: ExampleConfig):
        self.examples = examples
        bos, self.eos = begin_and_end(config, tokenizer_of(config))
        framing = PromptingConfig(config.template, max_tokens=None, score_eos=True)
        self.prompting = Prompting(framing, config.tokenizer, examples.turns, bos, self.eos)
        self.tokenizer, self.bos = self.prompting.tokenizer, self.prompting.bos
        self.deciding = self.prompting.deciding

    def __call__(self, documents: pa.Table) -> pa.Table:
        alive = living(documents).tolist()
        read = [
            self._example(text) if lives else None
            for text, lives in zip(documents["text"].to_pylist(), alive, strict=True)
        ]
        found = iter(self.prompting.tokenise([one for one in read if isinstance(one, Example)]))
        done = [next(found) if isinstance(one, Example) else one for one in read]
        refused = {row: (one.reason, one.detail) for row, one in enumerate(done) if isinstance(one, NoExample)}
        tokens = [None if one is None or row in refused else one for row, one in enumerate(done)]
        encoded = with_columns(
            documents,
            tokens=pa.array([one and one.ids for one in tokens], pa.large_list(pa.int32())),
            targets=pa.array([one and one.answer for one in tokens], TARGETS),
            unplaced=pa.array([one and one.unplaced for one in tokens], KINDS),
            unused=pa.array([one.unused if token else None for one, token in zip(read, tokens, strict=True)], KINDS),
        )
        return reject(encoded, STAGE, refused)

    def _example(self, record: str) -> Example | NoExample:
        try:
            return example_of(json.loads(record), self.examples)
        except NoExample as refusal:
            return refusal
