"""A pool whose rows and features stand in memory."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from operators.select.selectors.base import REASON


class MemoryPool:
    """Columns by name (lists or arrow arrays; `id` is made up where it is missing) and matrices by name, read in small parts.

    A part has `part_rows` rows. Where no column NAME.reason is given, nothing tells why a value is null. `reads` counts how
    often columns were streamed from the beginning.
    """

    def __init__(self, columns: dict, matrices: dict[str, np.ndarray] | None = None, part_rows: int = 3):
        self.rows = len(next(iter({**columns, **(matrices or {})}.values())))
        columns = {"id": [f"row-{row}" for row in range(self.rows)], **columns}
        self._table, self._matrices, self._part_rows = pa.table(columns), matrices or {}, part_rows
        self.reads = 0

    def columns(self, *names: str) -> Iterator[pa.Table]:
        self.reads += 1
        unknown = [name for name in names if name.endswith(REASON) and name not in self._table.column_names]
        table = self._table
        for name in unknown:
            table = table.append_column(name, pa.nulls(self.rows, pa.string()))
        table = table.select(names)
        for start in range(0, self.rows, self._part_rows):
            yield table.slice(start, self._part_rows)

    def matrix(self, name: str) -> np.ndarray:
        return self._matrices[name]
