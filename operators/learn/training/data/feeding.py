"""Samples into batches: shards are loaded ahead of their use, and scores are held against the rows they claim to belong to.

Shapes: B rows of T tokens.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from operators.errors import BadRequest
from operators.learn.training.data.order import DataOrder, Group
from operators.tokens.rows import PackedRows, Packing, checksums, flat, rows_of


@dataclass(frozen=True)
class Shards:
    """The packed rows to train on, by shard, with the scores that a loss reads.

    `rows` are the rows of each shard. `load(shard)` gives its packed table and the table of its scores (None where `columns`
    is empty): `id`, `checksum` and the columns as lists of one float16 per token, NaN where undefined. Without `eos` the
    token that ends a document is no target.
    """

    packing: Packing
    rows: Sequence[int]
    load: Callable[[int], tuple[pa.Table, pa.Table | None]]
    columns: tuple[str, ...] = ()
    eos: bool = True


class Sample(NamedTuple):
    """A row's name in messages."""

    id: str
    shard: int

    def __str__(self) -> str:
        return f"{self.id!r} of shard {self.shard}"


@dataclass(frozen=True)
class Batch:
    """Rows as a model and a loss read them.

    tokens int64, positions int64 (None where a row is one context), defined bool, all (B, T); columns float32 (B, T).
    """

    samples: list[Sample]
    tokens_BT: np.ndarray
    positions_BT: np.ndarray | None
    defined_BT: np.ndarray
    columns: dict[str, np.ndarray]


def take(
    rows: PackedRows, indices: Sequence[int], shard: int = 0, eos: bool = True, columns: dict | None = None
) -> Batch:
    """Take some rows as a batch."""
    packing = rows.packing
    part = PackedRows(
        packing,
        [rows.ids[i] for i in indices],
        *(a[indices] for a in (rows.tokens_RT, rows.starts_RT, rows.targets_RT)),
    )
    return Batch(
        [Sample(name, shard) for name in part.ids],
        part.tokens_RT.astype(np.int64),
        None if packing.cross_document else part.positions_RT,
        part.defined_RT if eos else part.defined_RT & (part.tokens_RT != packing.eos),
        {name: values_RT[indices].astype(np.float32) for name, values_RT in (columns or {}).items()},
    )


class Feeder:
    """Give batches by the place of their samples in the data order.

    Held in memory are the shards of the groups that are asked for and those of the next one, which are loaded meanwhile.
    Asked for backwards, it loads again. Raises BadRequest where a shard is not what was said of it.
    """

    def __init__(self, shards: Shards, order: DataOrder):
        self.shards, self.order = shards, order
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="shards")
        self._held: dict[Group, Future[dict[int, Shard]]] = {}

    def batch(self, samples: range) -> Batch:
        """Give samples as one batch, in their order; at least one must be asked for."""
        loaded = self._shards(samples)
        parts = [loaded[shard].batch([row]) for shard, row in self.order.places(samples.start, samples.stop).tolist()]
        return join(parts)

    def close(self) -> None:
        # Not by `cancel_futures`, which fails where the interpreter is on its way out and an open generator closes this.
        for loading in self._held.values():
            loading.cancel()
        self._loader.shutdown(wait=False)

    def _shards(self, samples: range) -> dict[int, "Shard"]:
        needed = list(self.order.groups(samples.start, samples.stop))
        coming = self.order.group(needed[-1].end)
        wanted = dict.fromkeys([*needed, coming])
        self._held = {group: self._held.get(group) or self._loader.submit(self._load, group) for group in wanted}
        return {shard: rows for group in needed for shard, rows in self._held[group].result().items()}

    def _load(self, group: Group) -> dict[int, "Shard"]:
        return {number: Shard(self.shards, number) for number in group.shards if self.shards.rows[number]}


class Shard:
    """A loaded shard, its scores held against its rows."""

    def __init__(self, shards: Shards, number: int):
        packed, scores = shards.load(number)
        self.rows, self.number, self.eos = rows_of(packed), number, shards.eos
        if self.rows.packing != shards.packing:
            raise BadRequest(
                f"shard {number} is packed in another way than its artifact: {self.rows.packing}. Pack anew."
            )
        if len(self.rows.ids) != shards.rows[number]:
            raise BadRequest(
                f"shard {number} has {len(self.rows.ids)} rows and its artifact says {shards.rows[number]}. Verify the artifact."
            )
        self.columns = self._columns(scores, shards.columns) if shards.columns else {}

    def batch(self, indices: Sequence[int]) -> Batch:
        return take(self.rows, indices, self.number, self.eos, self.columns)

    def _columns(self, scores: pa.Table | None, names: Sequence[str]) -> dict[str, np.ndarray]:
        there = scores.column_names if scores is not None else []
        missing = [name for name in names if name not in there]
        if missing:
            raise BadRequest(
                f"the loss reads {', '.join(missing)}, and the scores of shard {self.number} have "
                f"{', '.join(there) or 'nothing'}. "
                "Give the scores that `gristmill run score` made of these packed rows, with all it was asked for."
            )
        if scores["id"].to_pylist() != self.rows.ids:
            raise BadRequest(f"the scores of shard {self.number} are of other rows. Score these packed rows anew.")
        unequal = np.flatnonzero(scores["checksum"].to_numpy() != checksums(self.rows.tokens_RT))
        if len(unequal):
            raise BadRequest(
                f"the scores of row {Sample(self.rows.ids[unequal[0]], self.number)} are of other tokens "
                f"({len(unequal)} rows of the shard). Score these packed rows anew."
            )
        return {name: flat(scores[name]).reshape(-1, self.rows.packing.window) for name in names}


def join(batches: Sequence[Batch]) -> Batch:
    """Put batches one below the other."""
    first = batches[0]

    def stack(part: Callable[[Batch], np.ndarray]) -> np.ndarray:
        return np.concatenate([part(batch) for batch in batches])

    return Batch(
        [sample for batch in batches for sample in batch.samples],
        stack(lambda batch: batch.tokens_BT),
        None if first.positions_BT is None else stack(lambda batch: batch.positions_BT),
        stack(lambda batch: batch.defined_BT),
        {name: stack(lambda batch, name=name: batch.columns[name]) for name in first.columns},
    )
