"""Rows by chance: the baseline that every other selector is held against."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from operators.select.selectors.base import RECORD, Budget, Choice, Pool
from operators.select.selectors.picking.ranking import hashes
from operators.settings import setting

ROWS_IN_WAITING = 65_536  # gathered beyond a quota before they are sorted in


@dataclass
class RandomConfig:
    """Which chance, and whether it is shared out."""

    seed: int = setting(0, "seed of the choice")
    stratify: str | None = setting(
        None, "top-level key of the records whose values get rows in proportion to theirs; null: chance alone"
    )


class Random:
    """Choose uniformly without replacement: the rows with the smallest hashes of seed and id, equal ones by id.

    So the choice depends neither on the order of the rows nor on files, and a larger budget with the same seed holds the smaller.

    With `stratify` each value of that key (a missing one is a value too) gets its share of the budget by largest remainder, equal
    remainders in the order of the values' names, and rows by chance inside. The picks are mixed so that any first part of
    them has nearly the same shares; there a budget of tokens cuts.
    """

    Config = RandomConfig
    asks = ()

    def __init__(self, config: RandomConfig):
        self.config = config
        self.reads = ("id",) if config.stratify is None else ("id", f"{RECORD}{config.stratify}")

    def __call__(self, pool: Pool, budget: Budget) -> Choice:
        rows = budget.rows(pool.rows)
        if self.config.stratify is None:
            sizes = {"all": pool.rows}
        else:
            sizes = Counter(name for table in pool.columns(self.reads[1]) for name in _names(table[self.reads[1]]))
        quotas = shares(sizes, rows)
        positions = budget.prefix(np.array(self._drawn(pool, sizes, quotas), np.int64))
        strata = (
            {name: f"{quotas[name]:,} of {sizes[name]:,}" for name in sorted(sizes)} if self.config.stratify else {}
        )
        return Choice(positions, notes={"seed": self.config.seed, **({"strata": strata} if strata else {})})

    def _drawn(self, pool: Pool, sizes: Mapping[str, int], quotas: Mapping[str, int]) -> list[int]:
        """Give the positions of each stratum's first rows, mixed by how far each is in its stratum."""
        strata: dict[str, list[tuple[int, str, int]]] = {name: [] for name in sizes}
        for name, key in self._keys(pool):
            stratum = strata[name]
            stratum.append(key)
            if len(stratum) > 2 * quotas[name] + ROWS_IN_WAITING:
                stratum.sort()
                del stratum[quotas[name] :]
        mixed = [
            ((place + 0.5) / sizes[name], name, position)
            for name, stratum in strata.items()
            for place, (_, _, position) in enumerate(sorted(stratum)[: quotas[name]])
        ]
        return [position for _, _, position in sorted(mixed)]

    def _keys(self, pool: Pool) -> Iterator[tuple[str, tuple[int, str, int]]]:
        """Give each row's stratum and key (hash, id, position)."""
        position = 0
        for table in pool.columns(*self.reads):
            ids = table["id"].to_pylist()
            names = _names(table[self.reads[1]]) if self.config.stratify is not None else ["all"] * len(ids)
            keys = zip(hashes(self.config.seed, ids).tolist(), ids, range(position, position + len(ids)), strict=True)
            yield from zip(names, keys, strict=True)
            position += len(ids)


def shares(sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """Share out `total` in proportion to the sizes by largest remainder, equal remainders in the order of the names."""
    whole = sum(sizes.values()) or 1
    quotas = {name: total * size // whole for name, size in sizes.items()}
    order = sorted(sizes, key=lambda name: (-(total * sizes[name] % whole), name))
    for name in order[: total - sum(quotas.values())]:
        quotas[name] += 1
    return quotas


def _names(values) -> list[str]:
    return [json.dumps(value, ensure_ascii=False, default=str) for value in values.to_pylist()]
