"""LESS: rows on which a step of training would change a model as a target set wants it.

Shapes: N rows of the pool, B of a block; S subtasks of the target, D dimensions of a projected gradient; C checkpoints.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from operators.errors import BadRequest
from operators.select.selectors.base import RECORD, Budget, Choice, Pool
from operators.select.selectors.picking.columns import check_variant, reasons, with_reasons
from operators.select.selectors.picking.ranking import GumbelConfig, Scored, ranked
from operators.settings import setting

BLOCK = 1024  # rows whose gradients are widened to float32 at once
WHOLE = "all"  # the subtask of target rows that name none
# Mean learning rates of the four epochs in the comparison paper's code, before they are normalised.
PAPER_RATES = (1.6854e-05, 1.4868e-05, 1.2483e-05, 9.9999e-06)


@dataclass
class LessConfig:
    subtask: str = setting(
        "subtask", "top-level key of the target's records that names their subtask; rows without it are one"
    )
    variant: str = setting(
        "default",
        "default, or as_released: the target is a sample of the pool and one subtask, with the paper's weights; answers are read "
        "with the line end that tulu's released code writes after their end (the warm-up is the default's: it learns none)",
    )

    def __post_init__(self):
        check_variant("less", self.variant)


class Less:
    """Choose the rows with the largest influence on one of the target's subtasks.

    The influence of row i on subtask s is sum_c w_c * mean_{j in s} <train_c(i), target_c(j)>, with the projected, normalised
    gradients of checkpoint c (features `gradient_0`, `gradient_1`, ... of pool and target); its score the maximum over subtasks.
    `weights` are the mean learning rates of the epochs that end with the checkpoints; here they sum to 1. A row without a
    gradient at some checkpoint has no score. Raises BadRequest where no row of the target has one.
    Source: LESS, arXiv:2402.04333, section 4.2 and definition 3.1.
    """

    Config = LessConfig
    asks = ("gumbel", "target", "weights")

    def __init__(
        self,
        config: LessConfig,
        gumbel: GumbelConfig | None = None,
        target: Pool | None = None,
        weights: Sequence[float] | None = None,
    ):
        self.config, self.gumbel, self.target = config, gumbel, target
        self.gradients = tuple(f"gradient_{checkpoint}" for checkpoint in range(len(weights or ())))
        self.reads = ("id", *with_reasons(*self.gradients))
        self.weights_C = self._weights(weights or ())

    def __call__(self, pool: Pool, budget: Budget) -> Choice:
        if not self.gradients or self.target is None:
            raise BadRequest(
                "less has nothing to compare with: give a target set (target.path) and at least one epoch."
            )
        names, means_CSD = self._aims()
        scores_N, best_N, reasons_N = np.full(pool.rows, np.nan), *np.full((2, pool.rows), None, dtype=object)
        begin = 0
        for table in pool.columns(*with_reasons(*self.gradients)):
            influence_BS = self._influence(table, means_CSD)
            here = begin + np.flatnonzero(~np.isnan(influence_BS[:, 0]))
            scores_N[begin : begin + len(table)] = influence_BS.max(1)
            best_N[here] = np.array(list(names), dtype=object)[influence_BS[here - begin].argmax(1)]
            reasons_N[begin : begin + len(table)] = reasons(table, *self.gradients)
            begin += len(table)
        choice = ranked(lambda: _parts(pool, scores_N, reasons_N), budget, self.gumbel)
        choice.notes |= {"subtasks": names, "weights": self.weights_C.tolist(), "columns": {"subtask": best_N}}
        return choice

    def _weights(self, weights: Sequence[float]) -> np.ndarray:
        if self.config.variant == "as_released" and weights:
            if len(weights) != len(PAPER_RATES):
                raise BadRequest(
                    f"less.variant=as_released has weights for {len(PAPER_RATES)} epochs, and the warm-up has {len(weights)}. "
                    f"Set less.training.epochs={len(PAPER_RATES)}."
                )
            weights = PAPER_RATES
        if any(weight < 0 for weight in weights) or (weights and not sum(weights)):
            raise BadRequest(
                f"the weights of checkpoints are learning rates from 0, not all of them 0; got {list(weights)}."
            )
        return np.array(weights, dtype=np.float64) / (sum(weights) or 1)

    def _aims(self) -> tuple[dict[str, int], np.ndarray]:
        """Give the rows of each subtask of the target, and the means of their gradients: float32 (C, S, D)."""
        sums: dict[str, np.ndarray] = {}
        counts: Counter[str] = Counter()
        column = f"{RECORD}{self.config.subtask}"
        named = self.config.variant == "default"
        for table in self.target.columns(*((column,) if named else ()), *self.gradients):
            subtasks = table[column].to_pylist() if named else [None] * len(table)
            vectors_CBD = np.stack([vectors(table[name]) for name in self.gradients])
            for row in np.flatnonzero(~np.isnan(vectors_CBD).any(axis=(0, 2))):
                name = WHOLE if subtasks[row] is None else subtasks[row]
                sums[name] = sums.get(name, 0) + vectors_CBD[:, row].astype(np.float64)
                counts[name] += 1
        if not counts:
            raise BadRequest(
                "no row of the target has a gradient: see the reasons in its features. Give rows with answers."
            )
        names = sorted(counts)
        means_CSD = np.stack([sums[name] / counts[name] for name in names], axis=1)
        return {name: counts[name] for name in names}, means_CSD.astype(np.float32)

    def _influence(self, table: pa.Table, means_CSD: np.ndarray) -> np.ndarray:
        """Give the influence of some rows on each subtask: float64 (B, S), NaN where a gradient is missing."""
        influence_BS = np.zeros((len(table), means_CSD.shape[1]))
        for name, weight, means_SD in zip(self.gradients, self.weights_C, means_CSD, strict=True):
            for first in range(0, len(table), BLOCK):
                vectors_BD = vectors(table[name].slice(first, BLOCK)).astype(np.float32)
                influence_BS[first : first + BLOCK] += weight * (vectors_BD @ means_SD.T)
        return influence_BS


def vectors(column: pa.ChunkedArray) -> np.ndarray:
    """Give a column of vectors as an array (B, D) of its type, NaN where there is none."""
    rows = column.combine_chunks()
    rows = rows if isinstance(rows, pa.Array) else pa.concat_arrays(rows.chunks)
    size = rows.type.list_size
    known = rows.is_valid().to_numpy(zero_copy_only=False)
    values = rows.flatten().to_numpy(zero_copy_only=False).reshape(-1, size)  # of the rows that are there
    vectors_BD = np.full((len(rows), size), np.nan, dtype=values.dtype)
    vectors_BD[known] = values
    return vectors_BD


def _parts(pool: Pool, scores_N: np.ndarray, reasons_N: np.ndarray) -> Iterator[Scored]:
    begin = 0
    for table in pool.columns("id"):
        here = slice(begin, begin + len(table))
        yield Scored(table["id"].to_pylist(), scores_N[here], reasons_N[here])
        begin += len(table)
