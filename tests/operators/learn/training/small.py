"""Small packed shards, their scores, and settings of a tiny model: a training step of it takes milliseconds."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from operators.learn.training.config import (
    BatchConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainedModelConfig,
    TrainingConfig,
)
from operators.learn.training.data.feeding import Shards
from operators.tokens.rows import PackedRows, Packing, checksums

PACKING = Packing(window=16, cross_document=False, tokenizer="none", vocabulary=61, eos=1)
TINY = TrainedModelConfig(layers=2, heads=2, width=16, feed_forward=24)


def packed(rows: int, seed: int = 0, packing: Packing = PACKING) -> pa.Table:
    """Rows of random tokens: two documents in each, and padding of random length at the end."""
    rng = np.random.default_rng(seed)
    tokens_RT = rng.integers(2, packing.vocabulary, (rows, packing.window)).astype(np.uint16)
    starts_RT = np.zeros((rows, packing.window), bool)
    targets_RT = np.ones((rows, packing.window), bool)
    starts_RT[:, 0] = True
    for row in range(rows):
        cut, end = rng.integers(2, packing.window - 4), rng.integers(packing.window - 3, packing.window + 1)
        starts_RT[row, cut] = True
        tokens_RT[row, cut - 1] = packing.eos
        starts_RT[row, end : end + 1] = True
        targets_RT[row, end:] = False
        tokens_RT[row, end:] = packing.eos
    names = [f"s{seed}r{row}" for row in range(rows)]
    return PackedRows(packing, names, tokens_RT, starts_RT, targets_RT).table()


def scored(table: pa.Table, seed: int = 0) -> pa.Table:
    """Scores of packed rows: random losses of a reference model at every token."""
    tokens = np.array(table["tokens"].to_pylist())
    losses = np.random.default_rng(seed + 1000).gamma(2, 2, tokens.size).astype(np.float16)
    column = pa.FixedSizeListArray.from_arrays(pa.array(losses), tokens.shape[1])
    return pa.table({"id": table["id"], "checksum": checksums(tokens), "reference_loss": column})


def shards(rows: list[int], columns: tuple[str, ...] = (), tables: dict[int, pa.Table] | None = None) -> Shards:
    """Shards of so many rows each; `tables` replaces some of them."""
    made = {number: packed(count, seed=number) for number, count in enumerate(rows)} | (tables or {})
    return Shards(PACKING, rows, lambda number: (made[number], scored(made[number], number)), columns)


def config(**changes) -> TrainingConfig:
    """Settings of a short run on a processor."""
    settings = TrainingConfig(
        model=TINY,
        optimizer=OptimizerConfig(lr=1e-2),
        schedule=ScheduleConfig(warmup_steps=0),
        batch=BatchConfig(rows=8, micro_rows=8),
        steps=3,
    )
    return replace(settings, **changes)
