"""What an artifact holds, row by row, and how that differs from what it should hold."""

from collections import Counter
from dataclasses import dataclass

import pyarrow.parquet as pq

from operators.storage.place import Place

Row = tuple[str, str | None, str | None]  # folder, reason of the rejection, text


@dataclass
class Difference:
    """How many ids are missing, how many rows are there too often, and how many ids have another text or fate, or no origin."""

    lost: int = 0
    doubled: int = 0
    differing: int = 0

    def __bool__(self) -> bool:
        return any(vars(self).values())

    def __str__(self) -> str:
        return ", ".join(f"{count:,} {name}" for name, count in vars(self).items() if count) or "the same rows"


def read_rows(place: Place) -> list[tuple[str, Row]]:
    """List a finished artifact and give the id and the content of each row."""
    found = []
    for folder in ("data", "rejected"):
        for name in place.names(folder):
            with place.open(name) as file:
                rows = pq.read_table(file).to_pylist()
            found += [(row["id"], (folder, row.get("reason"), row["text"])) for row in rows]
    return found


def compare(found: list[tuple[str, Row]], expected: dict[str, Row]) -> Difference:
    """Hold the rows of a disturbed run against those of an undisturbed one."""
    times = Counter(id for id, _ in found)
    other = {id for id, row in found if row != expected.get(id)}
    return Difference(len(expected.keys() - times.keys()), sum(times.values()) - len(times), len(other))
