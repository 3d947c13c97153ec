"""What is known of many rows that were seen once, a table at a time: exact counts, and a seeded sample of whole rows.

The sample is the rows with the smallest hash of (seed, id): it depends on no order and on no part. Beside it 8 bytes are kept
for each row. Shapes: N rows, R rows of one table.
"""

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

COUNTED = ("prompt_tokens", "answer_tokens")
NAMED = ("source", "cluster")
KEPT = ("id", "text", "cluster", "embedding")
LONGEST = 1 << 20  # tokens; longer rows are counted as this long


class LengthSurvey:
    """How many rows have each number of tokens."""

    def __init__(self):
        self.counts = np.zeros(0, np.int64)
        self.tokens = 0

    def add(self, lengths: pa.ChunkedArray) -> None:
        values = lengths.drop_null().to_numpy().astype(np.int64)
        self.tokens += int(values.sum())
        counts = np.bincount(np.minimum(values, LONGEST), minlength=len(self.counts))
        counts[: len(self.counts)] += self.counts
        self.counts = counts

    @property
    def rows(self) -> int:
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        return self.tokens / self.rows

    def quantile(self, share: float) -> float:
        """Give the length below which such a share of rows lies, linear between two rows."""
        ends, place = np.cumsum(self.counts), share * (self.rows - 1)
        below, above = np.searchsorted(ends, [np.floor(place), np.ceil(place)], side="right")
        return float(below + (above - below) * (place % 1))


class Survey:
    """Sum up rows. `keep` rows are sampled; columns that the tables lack are left out."""

    def __init__(self, tables: Iterable[pa.Table], keep: int, seed: int):
        self.keep, self.seed = keep, seed
        self.rows = 0
        self.lengths: dict[str, LengthSurvey] = {}
        self.named: dict[str, Counter] = {}
        self.sample: pa.Table | None = None
        self._keys = np.zeros(0, np.uint64)
        self._contents: list[np.ndarray] = []
        self._ids: list[np.ndarray] = []
        for table in tables:
            self._add(table)

    @property
    def equal_rows(self) -> int | None:
        """Count the rows whose text another row before them has; None where there are no texts."""
        contents = np.concatenate(self._contents) if self._contents else None
        return None if contents is None else len(contents) - len(np.unique(contents))

    @property
    def unique_ids(self) -> int:
        return len(np.unique(np.concatenate(self._ids))) if self._ids else 0

    def has(self, digests: np.ndarray) -> np.ndarray:
        """Tell which ids, as `digests_of` gives them, are among the rows: bool."""
        return np.isin(digests, np.concatenate(self._ids)) if self._ids else np.zeros(len(digests), bool)

    def texts(self) -> list[str]:
        """Give the texts of the sample, without those that are null."""
        return [] if self.sample is None or "text" not in self.sample.column_names else texts_of(self.sample)

    def _add(self, table: pa.Table) -> None:
        self.rows += len(table)
        for name in set(COUNTED) & set(table.column_names):
            self.lengths.setdefault(name, LengthSurvey()).add(table[name])
        for name in set(NAMED) & set(table.column_names):
            counts = pc.value_counts(table[name].drop_null())
            pairs = zip(counts.field(0).to_pylist(), counts.field(1).to_pylist(), strict=True)
            self.named.setdefault(name, Counter()).update(dict(pairs))
        if "text" in table.column_names:
            self._contents.append(digests_of(texts_of(table)))
        ids = table["id"].to_pylist()
        self._ids.append(digests_of(ids))
        self._sample(table, digests_of(ids, self.seed))

    def _sample(self, table: pa.Table, keys_R: np.ndarray) -> None:
        if len(self._keys) == self.keep:
            near_R = np.flatnonzero(keys_R < self._keys[-1])
            table, keys_R = table.take(near_R), keys_R[near_R]
        table = table.select([name for name in KEPT if name in table.column_names])
        both = pa.concat_tables([self.sample, table]) if self.sample is not None else table
        keys = np.concatenate([self._keys, keys_R])
        order = np.argsort(keys, kind="stable")[: self.keep]
        self.sample, self._keys = both.take(order), keys[order]


def texts_of(table: pa.Table) -> list[str]:
    return table["text"].drop_null().to_pylist()


def digests_of(texts: list[str], seed: int = 0) -> np.ndarray:
    """Hash texts to 64 bits each: uint64."""
    salt = seed.to_bytes(8, "little", signed=True)
    digests = b"".join(
        blake2b(text.encode(errors="surrogatepass"), digest_size=8, salt=salt).digest() for text in texts
    )
    return np.frombuffer(digests, np.uint64)
