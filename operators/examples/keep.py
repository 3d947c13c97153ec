"""Keep the records that are examples, and reject the others by name."""

import json
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from operators.examples.base import STAGE, Example, ExampleConfig, NoExample, example_of
from operators.table import living, reject, with_columns


class KeepExamples:
    """Read each record (its JSON in `text`) as an example; a record that is none is rejected, with the reason.

    Adds `content`, a 64-bit digest of what is said by whom: rows of equal content have equal ones.
    """

    def __init__(self, config: ExampleConfig):
        self.config = config

    def __call__(self, documents: pa.Table) -> pa.Table:
        alive, texts = living(documents), documents["text"].to_pylist()
        contents, reasons = np.zeros(len(documents), dtype=np.uint64), {}
        for row in np.flatnonzero(alive).tolist():
            try:
                contents[row] = digest(example_of(json.loads(texts[row]), self.config))
            except NoExample as none:
                reasons[row] = (none.reason, none.detail)
        return reject(with_columns(documents, content=pa.array(contents)), STAGE, reasons)


def digest(example: Example) -> int:
    """Digest what is said by whom."""
    said = json.dumps([[turn.role, turn.content] for turn in example.turns] or example.text)
    return int.from_bytes(blake2b(said.encode(), digest_size=8).digest(), "little")
