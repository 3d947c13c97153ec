"""Contexts in a line: what a model reads, and what it is to predict.

Shapes: C contexts, T tokens of one of them, S slots of the line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Context(NamedTuple):
    """What a model reads of row `row`, for the feature `kind`.

    ids int (T); labels int (T + 1) and targets bool (T + 1): the state of token t is to predict labels[t + 1] where
    targets[t + 1] is true. Nothing predicts the first label.
    """

    row: int
    kind: str
    ids: np.ndarray
    labels: np.ndarray
    targets: np.ndarray


def following(row: int, kind: str, ids: np.ndarray, targets: np.ndarray) -> Context:
    """Make the usual context: each token predicts the next one, where `targets` bool (T) marks that."""
    targets = np.append(targets, False)
    targets[0] = False
    return Context(row, kind, ids, np.append(ids, 0), targets)


@dataclass(frozen=True)
class Line:
    """Contexts one after the other, a slot more than tokens for each.

    tokens, labels int64 (S), targets bool (S), stretches int64 (C, 2): begin and end of the tokens of each context, and
    owners int64 (S): the context of each slot.
    """

    tokens: np.ndarray
    labels: np.ndarray
    targets: np.ndarray
    stretches: np.ndarray
    owners: np.ndarray

    def means(self, losses: np.ndarray) -> np.ndarray:
        """Average the losses (S) of the targets of each context, in float64 (C); NaN where one is missing."""
        owners = self.owners[self.targets]
        sums_C, counts_C = (
            np.bincount(owners, weights, minlength=len(self.stretches))
            for weights in (losses[self.targets].astype(np.float64), None)
        )
        return sums_C / counts_C


def lined_up(contexts: Sequence[Context], whole: frozenset[str] = frozenset()) -> Line:
    """Put contexts in a line. A context is read up to its last target; to its end, if its kind is one of `whole`."""
    slots_C = np.array([len(context.labels) for context in contexts])
    begins_C = np.cumsum(slots_C) - slots_C
    read_C = np.array(
        [len(context.ids) if context.kind in whole else np.flatnonzero(context.targets)[-1] for context in contexts]
    )
    return Line(
        tokens=np.concatenate([np.append(context.ids, 0) for context in contexts]).astype(np.int64),
        labels=np.concatenate([context.labels for context in contexts]).astype(np.int64),
        targets=np.concatenate([context.targets for context in contexts]),
        stretches=np.stack([begins_C, begins_C + read_C], axis=1),
        owners=np.repeat(np.arange(len(contexts)), slots_C),
    )
