"""Whether each id stands in one row only, in bounded memory."""

from collections import Counter
from hashlib import blake2b
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from operators.storage.place import Place

IDS_AT_ONCE = 2**25  # of which the hashes are held in memory: 8 bytes each


class Ids:
    """Finds ids that stand in more than one row, in a `column` of parts with so many rows.

    Memory is bounded: of more than IDS_AT_ONCE, a share is looked at each time.
    """

    def __init__(self, rows: int, column: str = "id"):
        self.column = column
        self.turns = max(1, -(-rows // IDS_AT_ONCE))
        self.hashes: list[np.ndarray] = []

    def take(self, ids: list[str], turn: int = 0) -> None:
        hashes = hashes_of(ids)
        self.hashes.append(hashes[hashes % np.uint64(self.turns) == turn])

    def twice(self, place: Place, parts: list[str]) -> list[str]:
        """Give the ids, after the first share was taken in; the parts are read once more for each other share."""
        suspects = self.suspects(place, parts)
        return self._really_twice(place, parts, suspects) if len(suspects) else []

    def suspects(self, place: Place, parts: list[str]) -> np.ndarray:
        """Give the hashes that several rows have, as `twice` gives the ids: uint64, sorted. Different ids may share one."""
        suspects = [self._equal()]
        for turn in range(1, self.turns):
            for part in parts:
                self.take(ids_of(place.open(part), part, self.column), turn)
            suspects.append(self._equal())
        return np.sort(np.concatenate(suspects))

    def _equal(self) -> np.ndarray:
        """Give the hashes that came more than once, and forget all."""
        hashes = np.sort(np.concatenate([np.empty(0, np.uint64), *self.hashes]))
        self.hashes = []
        return np.unique(hashes[1:][hashes[1:] == hashes[:-1]])

    def _really_twice(self, place: Place, parts: list[str], suspects: np.ndarray) -> list[str]:
        """Count the ids behind equal hashes."""
        counts: Counter[str] = Counter()
        for part in parts:
            ids = ids_of(place.open(part), part, self.column)
            counts.update(np.asarray(ids, dtype=object)[np.isin(hashes_of(ids), suspects)])
        return [id for id, count in counts.items() if count > 1]


def ids_of(part: BinaryIO, name: str, column: str = "id") -> list[str]:
    """Read the ids of a part that is a table. An inner folder of data/ is a data set of its own, whose name begins its ids."""
    inner = "".join(f"{folder}/" for folder in name.split("/")[1:-1])
    return [inner + id for id in _ids_of(part, name, column)] if inner else _ids_of(part, name, column)


def _ids_of(part: BinaryIO, name: str, column: str) -> list[str]:
    if name.endswith(".arrow"):
        file = pa.ipc.open_file(part)
        batches = (file.get_batch(index) for index in range(file.num_record_batches))
        return [id for batch in batches for id in batch[column].to_pylist()]
    # Without Arrow's own threads: what is still among them when Python ends makes it abort now and then.
    return pq.ParquetFile(part, pre_buffer=False).read(columns=[column], use_threads=False)[column].to_pylist()


def hashes_of(ids: list[str]) -> np.ndarray:
    """Hash ids: uint64 (ids,)."""
    return np.frombuffer(b"".join(blake2b(id.encode(), digest_size=8).digest() for id in ids), dtype=np.uint64)
