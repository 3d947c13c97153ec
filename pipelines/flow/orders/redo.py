"""What of an order is left to do: the rows in some stretches, and of these the units that are wanted again."""

from collections.abc import Collection, Iterator

import numpy as np
import pyarrow as pa

from operators.storage.base import UNREADABLE
from pipelines.flow.orders.order import places_of
from pipelines.ledger.spans import Point, Span, Unit


def shared_out(rows: pa.Table, kind: str, stretches: list[Span]) -> list[pa.Table]:
    """Give the rows that lie in each of some stretches.

    A rejected document is one row, which lies wherever anything of the document does; one that stands for the rest of its file
    lies in the first stretch, or what it tells of would be settled without a word.
    """
    homes = [
        _home(row, place, stretches)
        for row, place in zip(_fates(rows, kind), map(tuple, places_of(rows).tolist()), strict=True)
    ]
    return [rows.filter(pa.array([home == index for home in homes], pa.bool_())) for index in range(len(stretches))]


def _fates(rows: pa.Table, kind: str) -> Iterator[tuple[str | None, str | None]]:
    """Give kind and reason of each row."""
    return zip(rows[kind].to_pylist(), rows["reason"].to_pylist(), strict=True)


def _home(fate: tuple[str | None, str | None], place: Point, stretches: list[Span]) -> int | None:
    """Give the number of the stretch in which a row lies."""
    kind, reason = fate
    end = place if kind else (place[0] + 1, 0)
    meets = (i for i, (first, last) in enumerate(stretches) if first <= place < last or place <= first < end)
    return next(meets, 0 if reason == UNREADABLE else None)


def wanted(rows: pa.Table, kind: str, redo: Collection[Unit]) -> np.ndarray:
    """Tell which rows to work on: bool (rows,). Of chunks of which units are to be done again only these, of others all.

    A document that is rejected now is told in any case.
    """
    chunks, ids = {unit.span[0] for unit in redo}, {unit.id for unit in redo}
    keys = zip(map(tuple, places_of(rows).tolist()), rows["id"].to_pylist(), rows[kind].to_pylist(), strict=True)
    return np.array([place not in chunks or id in ids or name is None for place, id, name in keys], dtype=bool)
