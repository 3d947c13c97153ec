"""Pack the tokens of documents into rows of one length, one document after the other."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from operators.errors import BadRequest
from operators.settings import setting
from operators.tokens.encode_documents import EncodeConfig
from operators.tokens.rows import PackedRows, Packing

SHORTEST_WINDOW = 8


@dataclass
class PackConfig(EncodeConfig):
    window: int = setting(2048, "tokens of a row: the context that a model is trained on")
    cross_document: bool = setting(False, "whether a token may attend to the documents before its own in the row")
    rows_per_part: int = setting(2048, "rows of a part, the unit in which training reads and shuffles")

    def __post_init__(self):
        if self.window < SHORTEST_WINDOW:
            raise BadRequest(f"pack.window is a number of tokens from {SHORTEST_WINDOW}, got {self.window}.")
        if self.rows_per_part < 1:
            raise BadRequest(f"pack.rows_per_part is a number of rows from 1, got {self.rows_per_part}.")


class Packer:
    """Fill rows with the tokens of documents, which are cut where a row ends.

    Memory is one part's: `rows` rows. `name` begins the ids of the rows. The end of the last row is padding: a context of its
    own that is no target.
    """

    def __init__(self, packing: Packing, rows: int, name: str):
        self.packing, self.name, self.made = packing, name, 0
        self.tokens = np.empty(rows * packing.window, dtype=np.uint16 if packing.vocabulary <= 2**16 else np.int32)
        self.starts, self.targets = (np.empty(len(self.tokens), dtype=bool) for _ in range(2))
        self.filled = 0

    def add(self, tokens: np.ndarray, targets: np.ndarray | None = None) -> Iterator[PackedRows]:
        """Take the tokens of a document, and which of them are targets (bool; None: all). Yields what is full."""
        taken = 0
        while taken < len(tokens):
            size = min(len(tokens) - taken, len(self.tokens) - self.filled)
            here = slice(self.filled, self.filled + size)
            self.tokens[here] = tokens[taken : taken + size]
            self.starts[here] = False
            self.starts[self.filled] = taken == 0
            self.targets[here] = True if targets is None else targets[taken : taken + size]
            self.filled, taken = self.filled + size, taken + size
            if self.filled == len(self.tokens):
                yield self._rows()

    def finish(self) -> Iterator[PackedRows]:
        """Yield what is left, its last row filled up."""
        if not self.filled:
            return
        end = -(-self.filled // self.packing.window) * self.packing.window
        padding = slice(self.filled, end)
        self.tokens[padding], self.starts[padding], self.targets[padding] = self.packing.eos, False, False
        if self.filled < end:
            self.starts[self.filled] = True
        self.filled = end
        yield self._rows()

    def _rows(self) -> PackedRows:
        shape = (self.filled // self.packing.window, self.packing.window)
        arrays = [values[: self.filled].reshape(shape).copy() for values in (self.tokens, self.starts, self.targets)]
        ids = [f"{self.name}-{self.made + row}" for row in range(shape[0])]
        self.made, self.filled = self.made + shape[0], 0
        return PackedRows(self.packing, ids, *arrays)
