"""Which row is the n-th sample: an endless sequence that only the seed and the rows of the shards decide.

Neither ranks nor batch sizes have a part in it, so a run is resumed by one integer, on any number of machines.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise

import numpy as np

from operators.errors import BadRequest


@dataclass(frozen=True)
class Group:
    """Shards whose rows are shuffled together: samples `begin` up to `end` of the sequence."""

    begin: int
    end: int
    shards: tuple[int, ...]


class DataOrder:
    """The endless order of the rows.

    In each epoch the shards are permuted, `shuffle_shards` of them in a row make a group, and the rows of a group are
    permuted together: so no more than a group of shards need be at hand. `rows` are the rows of each shard; a shard may be
    empty, all of them may not. Cost: the permutation of a group once per group, whatever the place that is begun from.
    """

    def __init__(self, rows: Sequence[int], seed: int, shuffle_shards: int):
        self.rows, self.seed, self.shuffle_shards = tuple(map(int, rows)), seed, shuffle_shards
        self.epoch_rows = sum(self.rows)
        if not self.epoch_rows:
            raise BadRequest(f"there is nothing to train on: {len(self.rows)} shards, and no row in them.")
        self._groups_of_epoch = lru_cache(2)(self._group_epoch)
        self._places_of_group = lru_cache(3)(self._permute_group)

    @property
    def digest(self) -> str:
        """Name the sequence: equal digests have equal samples."""
        return blake2b(repr((self.rows, self.seed, self.shuffle_shards)).encode(), digest_size=16).hexdigest()

    def group(self, sample: int) -> Group:
        """Give the group that a sample is in."""
        epoch = sample // self.epoch_rows
        groups = self._groups_of_epoch(epoch)
        return groups[bisect_right(groups, sample, key=lambda group: group.end)]

    def groups(self, begin: int, end: int) -> Iterator[Group]:
        """Give the groups that hold samples `begin` up to `end`, in order."""
        while begin < end:
            group = self.group(begin)
            yield group
            begin = group.end

    def places(self, begin: int, end: int) -> np.ndarray:
        """Give shard and row of samples `begin` up to `end`: int64 (samples, 2)."""
        parts = [
            self._places_of_group(group)[max(begin, group.begin) - group.begin : end - group.begin]
            for group in self.groups(begin, end)
        ]
        return np.concatenate(parts) if parts else np.empty((0, 2), np.int64)

    def _group_epoch(self, epoch: int) -> list[Group]:
        shards = self._permutation(len(self.rows), epoch, 0)
        groups, begin = [], epoch * self.epoch_rows
        for first in range(0, len(shards), self.shuffle_shards):
            members = tuple(int(shard) for shard in shards[first : first + self.shuffle_shards])
            end = begin + sum(self.rows[shard] for shard in members)
            if end > begin:
                groups.append(Group(begin, end, members))
            begin = end
        return groups

    def _permute_group(self, group: Group) -> np.ndarray:
        counts = [self.rows[shard] for shard in group.shards]
        rows = np.concatenate([np.arange(count) for count in counts])
        places = np.stack([np.repeat(group.shards, counts), rows], axis=1)
        return places[self._permutation(len(places), group.begin, 1)]

    def _permutation(self, size: int, place: int, purpose: int) -> np.ndarray:
        # numpy promises that raw bits stay the same in all its versions, and promises it of nothing that shuffles.
        bits = np.random.PCG64(np.random.SeedSequence([self.seed, purpose, place])).random_raw(size)
        return np.argsort(bits, kind="stable")


def slices(begin: int, rows: int, ranks: int, micro_rows: int) -> list[list[range]]:
    """Divide the samples of one step among ranks, and those of a rank into micro-batches: [rank][micro-batch] of samples.

    In that order they are the samples `begin` up to `begin + rows` again. All ranks have the same number of micro-batches,
    because they meet in each; sizes differ by one at the most, and some may be empty.
    """
    passes = math.ceil(math.ceil(rows / ranks) / micro_rows)
    cuts = [begin + rows * part // max(1, ranks * passes) for part in range(ranks * passes + 1)]
    micro = [range(first, last) for first, last in pairwise(cuts)]
    return [micro[rank * passes : (rank + 1) * passes] for rank in range(ranks)]
