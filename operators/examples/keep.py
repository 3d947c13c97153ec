"""Keep the records that are examples, and reject the others by name."""

import json
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from operators.examples.base import STAGE, Example, ExampleConfig, NoExample, example_of
from operators.table import KINDS, living, reject, with_columns


class KeepExamples:
    """Read each record (its JSON in `text`) as an example; a record that is none is rejected, with the reason.

    Adds `content`, a 64-bit digest of what is said by whom: rows of equal content have equal ones; `carries`, a list of what
    they have beside that (reasoning_content, tools, weight, ...); and `unused`, of what no example has a place for.
    """

    def __init__(self, config: ExampleConfig):
        self.config = config

    def __call__(self, documents: pa.Table) -> pa.Table:
        alive, texts = living(documents), documents["text"].to_pylist()
        contents, reasons = np.zeros(len(documents), dtype=np.uint64), {}
        carries: list[list[str]] = [[] for _ in texts]
        unused: list[list[str]] = [[] for _ in texts]
        for row in np.flatnonzero(alive).tolist():
            try:
                example = example_of(json.loads(texts[row]), self.config)
            except NoExample as none:
                reasons[row] = (none.reason, none.detail)
                continue
            contents[row], carries[row] = digest(example), sorted(example.carried)
            unused[row] = list(example.unused)
        beside = {"carries": pa.array(carries, KINDS), "unused": pa.array(unused, KINDS)}
        kept = with_columns(documents, content=pa.array(contents), **beside)
        return reject(kept, STAGE, reasons)


def digest(example: Example) -> int:
    """Digest what is said by whom, and all that belongs to it."""
    said: list | str = [[turn.role, turn.content] for turn in example.turns] or example.text
    if example.carried:
        beside = [[turn.reasoning, turn.calls, turn.name, turn.call_id, turn.learned] for turn in example.turns]
        said = [said, beside, example.tools]
    return int.from_bytes(blake2b(json.dumps(said).encode(), digest_size=8).digest(), "little")
