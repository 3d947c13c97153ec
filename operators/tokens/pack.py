"""Pack tokens into rows of one length: of documents one after the other, of examples so that none is cut."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from operators.errors import BadRequest
from operators.settings import setting
from operators.tokens.encode_documents import EncodeConfig
from operators.tokens.fit import TOO_LONG
from operators.tokens.rows import PackedRows, Packing

SHORTEST_WINDOW = 8
WAITING = 2**20  # tokens of examples that wait to be packed together, or 16 rows if those are more
OPEN = 64  # rows that stay open for examples to come


@dataclass
class PackConfig(EncodeConfig):
    window: int = setting(2048, "tokens of a row: the context that a model is trained on")
    cross_document: bool = setting(False, "whether a token may attend to the documents before its own in the row")
    too_long: str = setting(
        "truncate",
        "with a template, an example longer than a row: truncate (its first tokens are kept), drop (it is rejected) or split "
        "(its answers go on in further rows, each behind its question); without one documents go on from row to row",
    )
    rows_per_part: int = setting(2048, "rows of a part, the unit in which training reads and shuffles")

    def __post_init__(self):
        super().__post_init__()
        if self.window < SHORTEST_WINDOW:
            raise BadRequest(f"pack.window is a number of tokens from {SHORTEST_WINDOW}, got {self.window}.")
        if self.too_long not in TOO_LONG:
            raise BadRequest(f"pack.too_long is {self.too_long!r}. It may be {', '.join(TOO_LONG)}.")
        if self.rows_per_part < 1:
            raise BadRequest(f"pack.rows_per_part is a number of rows from 1, got {self.rows_per_part}.")


class Packer:
    """Fill rows with the tokens of documents, which are cut where a row ends.

    Memory is one part's: `rows` rows. `name` begins the ids of the rows. The end of the last row is padding: a context of its
    own that is no target. `made` counts the rows, `packed` their tokens without padding.
    """

    def __init__(self, packing: Packing, rows: int, name: str):
        self.packing, self.name, self.made, self.packed = packing, name, 0, 0
        self.tokens = np.empty(rows * packing.window, dtype=np.uint16 if packing.vocabulary <= 2**16 else np.int32)
        self.starts, self.targets = (np.empty(len(self.tokens), dtype=bool) for _ in range(2))
        self.filled = 0

    def add(self, tokens: np.ndarray, targets: np.ndarray | None = None) -> Iterator[PackedRows]:
        """Take the tokens of a document, and which of them are targets (bool; None: all). Yields what is full."""
        taken = 0
        self.packed += len(tokens)
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

    def end_row(self) -> Iterator[PackedRows]:
        """Fill the row at hand up. Yields what is full."""
        end = -(-self.filled // self.packing.window) * self.packing.window
        padding = slice(self.filled, end)
        self.tokens[padding], self.starts[padding], self.targets[padding] = self.packing.eos, False, False
        if self.filled < end:
            self.starts[self.filled] = True
        self.filled = end
        if self.filled == len(self.tokens):
            yield self._rows()

    def finish(self) -> Iterator[PackedRows]:
        """Yield what is left, its last row filled up."""
        yield from self.end_row()
        if self.filled:
            yield self._rows()

    def _rows(self) -> PackedRows:
        shape = (self.filled // self.packing.window, self.packing.window)
        arrays = [values[: self.filled].reshape(shape).copy() for values in (self.tokens, self.starts, self.targets)]
        ids = [f"{self.name}-{self.made + row}" for row in range(shape[0])]
        self.made, self.filled = self.made + shape[0], 0
        return PackedRows(self.packing, ids, *arrays)


class _Waiting(NamedTuple):
    """An example that is to be packed, with its number in the order of all."""

    number: int
    tokens: np.ndarray
    targets: np.ndarray


@dataclass
class _Row:
    """A row that takes examples as long as it has room for them, in tokens."""

    room: int
    examples: list[_Waiting] = field(default_factory=list)


class ExamplePacker:
    """Fill rows with whole examples, each at most a row long.

    Examples wait until there are enough of them; then, the longest first, each goes into the row in which it leaves the least
    room. Examples of a row, and rows that are made together, keep the order in which examples came. What comes out depends on
    the examples and that order alone. Memory is that of the waiting examples (WAITING tokens), of OPEN rows and of one part.
    Source: best-fit decreasing, Johnson 1974; for language models Ding et al., arXiv:2404.10830.
    """

    def __init__(self, packing: Packing, rows: int, name: str):
        self.rows, self.window = Packer(packing, rows, name), packing.window
        self.most = max(WAITING, 16 * packing.window)
        self.waiting: list[_Waiting] = []
        self.tokens = self.taken = 0  # tokens that wait, examples so far
        self.open: list[_Row] = []

    @property
    def made(self) -> int:
        return self.rows.made

    @property
    def packed(self) -> int:
        """Count the tokens in the rows, without padding."""
        return self.rows.packed

    def add(self, tokens: np.ndarray, targets: np.ndarray | None = None) -> Iterator[PackedRows]:
        """Take an example, and which of its tokens are targets (bool; None: all). Yields what is full."""
        learned = np.ones(len(tokens), dtype=bool) if targets is None else np.array(targets)
        # Copies: a view would keep all that was read with it in memory.
        self.waiting.append(_Waiting(self.taken, np.array(tokens), learned))
        self.taken, self.tokens = self.taken + 1, self.tokens + len(tokens)
        if self.tokens >= self.most:
            yield from self._settle(kept=OPEN)

    def finish(self) -> Iterator[PackedRows]:
        """Yield what is left."""
        yield from self._settle(kept=0)
        yield from self.rows.finish()

    def _settle(self, kept: int) -> Iterator[PackedRows]:
        """Lay what waits into rows, and close all rows but those with the most room."""
        by_room = sorted((row.room, number) for number, row in enumerate(self.open))
        for example in sorted(self.waiting, key=lambda example: -len(example.tokens)):
            size = len(example.tokens)
            place = bisect_left(by_room, (size, 0))
            if place < len(by_room):
                _, number = by_room.pop(place)
            else:
                number = len(self.open)
                self.open.append(_Row(self.window))
            row = self.open[number]
            row.room -= size
            row.examples.append(example)
            if row.room:
                insort(by_room, (row.room, number))
        self.waiting, self.tokens = [], 0
        stay = {number for _, number in by_room[max(0, len(by_room) - kept) :]}
        closing = [
            sorted(row.examples, key=attrgetter("number")) for number, row in enumerate(self.open) if number not in stay
        ]
        self.open = [row for number, row in enumerate(self.open) if number in stay]
        for examples in sorted(closing, key=lambda examples: examples[0].number):
            for _, tokens, targets in examples:
                yield from self.rows.add(tokens, targets)
            yield from self.rows.end_row()
