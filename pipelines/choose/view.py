"""A pool with its features, as selectors see it: columns that stream, and matrices in memory-mapped files.

Shapes: N rows, D dimensions.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from operators.errors import BadRequest
from operators.examples.base import ExampleConfig, example_of
from operators.examples.turns import without_nan
from operators.select.selectors.base import REASON, RECORD, TEXT
from operators.storage.formats.jsonl import compact
from pipelines.ledger.records import Part
from pipelines.measure.artifact import FeatureArtifact
from pipelines.pool.artifact import PoolArtifact

POOL_COLUMNS = ("id", "record", "content", "source_file", "place")  # that the parts of a pool have
NUMBERED = re.compile(r"(.+)_(\d+)")  # a column that several features have, one for each model or checkpoint


def is_measured(name: str) -> bool:
    """Whether a column is a feature's: neither the pool's own, nor made of its records, nor a reason beside another."""
    return not (name in (*POOL_COLUMNS, TEXT) or name.startswith(RECORD) or name.endswith(REASON))


def numbered(name: str) -> tuple[str, int | None]:
    """Split COLUMN_NUMBER into the column, as its feature calls it, and the number: None where there is none."""
    match = NUMBERED.fullmatch(name)
    return (match[1], int(match[2])) if match else (name, None)


@dataclass(frozen=True)
class PoolView:
    """A pool with its features, as it is handed to workers."""

    pool: PoolArtifact
    features: Mapping[str, FeatureArtifact]

    def stored(self, examples: ExampleConfig, scratch: Path, kept: np.ndarray | None = None) -> "StoredPool":
        """Open it for a selector; matrices go into files of `scratch`."""
        scratch.mkdir()
        return StoredPool(self.pool, self.features, examples, scratch, kept)

    @property
    def key(self) -> list[str]:
        return [self.pool.key, *(artifact.key for artifact in self.features.values())]


class StoredPool:
    """Keeps operators/select/selectors/base.py:Pool. `features` are looked through in their order for a column.

    A name may carry `_NUMBER` where a feature was measured several times: `gradient_0` is the column `gradient` of the feature
    `gradient_0`. `kept` int64 (N) are the positions of the rows that selectors see, all where it is null; selectors count
    positions among these. Files of matrices stand in `scratch`, which is the caller's to remove.
    """

    def __init__(
        self,
        pool: PoolArtifact,
        features: Mapping[str, FeatureArtifact],
        examples: ExampleConfig,
        scratch: Path,
        kept: np.ndarray | None = None,
    ):
        self.pool, self.features, self.examples, self.scratch, self.kept = pool, features, examples, scratch, kept
        self.rows = pool.rows if kept is None else len(kept)
        self._matrices: dict[str, np.ndarray] = {}
        self._columns = {name: self._names_of(artifact) for name, artifact in features.items()}

    def columns(self, *names: str) -> Iterator[pa.Table]:
        """Stream some columns in data order, a part of the pool at a time."""
        begin = 0
        for part in self.pool.parts:
            table = self._of_part(part, names)
            yield table if self.kept is None else table.take(pa.array(self._within(begin, part.rows)))
            begin += part.rows

    def has(self, name: str) -> bool:
        """Whether a feature has a column."""
        return self._feature_of(name) is not None

    def matrix(self, name: str) -> np.ndarray:
        """Give a column of vectors as an array (N, D) in a file of `scratch`, NaN where a row has none."""
        if name not in self._matrices:
            self._matrices[name] = self._filled(name)
        return self._matrices[name]

    def positions(self, chosen: np.ndarray) -> np.ndarray:
        """Give the positions in the whole pool of rows that a selector chose."""
        return chosen if self.kept is None else self.kept[chosen]

    def seen_at(self, positions: Sequence[int]) -> np.ndarray:
        """Give where selectors see rows, all of which are kept, of some positions in the whole pool."""
        positions = np.asarray(positions, dtype=np.int64)
        return positions if self.kept is None else np.searchsorted(self.kept, positions)

    def _filled(self, name: str) -> np.ndarray:
        matrix_ND, done = None, 0
        for table in self.columns(name):
            vectors = _vectors(table[name])
            if matrix_ND is None:
                shape = (self.rows, vectors.shape[1])
                file = self.scratch / f"{name}.npy"
                matrix_ND = np.lib.format.open_memmap(file, mode="w+", dtype=vectors.dtype, shape=shape)
            matrix_ND[done : done + len(vectors)] = vectors
            done += len(vectors)
        return matrix_ND

    def _within(self, begin: int, rows: int) -> np.ndarray:
        """Give the rows of a part that are kept, by their number in it."""
        first, last = np.searchsorted(self.kept, [begin, begin + rows])
        return self.kept[first:last] - begin

    def _of_part(self, part: Part, names: tuple[str, ...]) -> pa.Table:
        columns: dict[str, pa.ChunkedArray | pa.Array] = {}
        of_feature: dict[str, list[str]] = {}
        for name in names:
            if (feature := self._feature_of(name)) is not None:
                of_feature.setdefault(feature, []).append(name)
        for feature, wanted in of_feature.items():
            measured = self.features[feature].load(part)
            columns |= {name: measured[self._column_in(feature, name)] for name in wanted}
        if rest := [name for name in names if name not in columns]:
            rows = self.pool.load(part)
            columns |= {name: self._of_rows(rows, name) for name in rest}
        return pa.table({name: columns[name] for name in names})

    def _of_rows(self, rows: pa.Table, name: str) -> pa.ChunkedArray | pa.Array:
        if name in rows.column_names:
            return rows[name]
        records = (without_nan(json.loads(record)) for record in rows["record"].to_pylist())
        if name == TEXT:
            return pa.array([example_of(record, self.examples).spoken for record in records], pa.large_string())
        if name.startswith(RECORD):
            return pa.array([_word(record.get(name.removeprefix(RECORD))) for record in records], pa.string())
        there = sorted({*rows.column_names, TEXT, *(column for names in self._columns.values() for column in names)})
        raise BadRequest(f"nothing measures {name!r} here. There are: {', '.join(there)}, and {RECORD}FIELD.")

    def _feature_of(self, name: str) -> str | None:
        found = (feature for feature in self.features if self._column_in(feature, name) is not None)
        return next(found, None)

    def _column_in(self, feature: str, name: str) -> str | None:
        """Name the column of a feature's parts that has what is asked for; None where it has not."""
        columns = self._columns[feature]
        if name.endswith(REASON):
            return self._column_in(feature, name.removesuffix(REASON)) and "reason"
        if name == feature:
            column, _ = numbered(name)
            return column if column in columns else None
        return name if name in columns else None

    def _names_of(self, artifact: FeatureArtifact) -> list[str]:
        return [name for name in artifact.load(self.pool.parts[0]).column_names if name not in ("id", "reason")]


def whole(pool: StoredPool, name: str) -> pa.Array:
    """Give a column of all rows at once."""
    return pa.concat_arrays([chunk for table in pool.columns(name) for chunk in table[name].chunks])


def _vectors(column: pa.ChunkedArray) -> np.ndarray:
    """Give lists of one length as an array (rows, D); NaN for null."""
    rows = column.combine_chunks()
    values = rows.flatten().to_numpy(zero_copy_only=False)  # of the rows that are there
    size = rows.type.list_size
    vectors = np.full((len(rows), size), np.nan, dtype=values.dtype)
    vectors[rows.is_valid().to_numpy(zero_copy_only=False)] = values.reshape(-1, size)
    return vectors


def _word(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else compact(value)
