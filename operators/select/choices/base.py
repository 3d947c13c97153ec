"""What a report of selections is made of: plain data, free of heavy libraries.

Shapes: N rows of the pool, M chosen rows of one selector.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from operators.errors import BadRequest
from operators.settings import setting

DEFAULT = "default"


@dataclass
class ReportConfig:
    """How closely a selection report looks."""

    sample: int = setting(
        300, "rows of each choice, and twice as many of the pool, whose texts are compressed, counted and embedded"
    )
    clusters: int = setting(
        50, "groups of K-means over the pool's sample, where the rows bring no cluster of their own"
    )
    bytes: int = setting(1_000_000, "text that is compressed at most, of each choice and of the pool")
    words: int = setting(50_000, "words that are counted at most for distinct words and pairs of words")
    shown: int = setting(5, "first picks of each choice whose text is shown")
    seed: int = setting(0, "seed of the samples and of K-means")

    def __post_init__(self):
        for name, least in (("sample", 2), ("clusters", 1), ("bytes", 1), ("words", 2), ("shown", 0)):
            if getattr(self, name) < least:
                raise BadRequest(f"report.{name} is a number from {least}, got {getattr(self, name)}.")


@dataclass(frozen=True)
class Chosen:
    """What one selector chose.

    `positions_M` int64 in pick order. `rows` streams the chosen rows in the same order, as tables with `id` and, where there
    are such, `text`, `prompt_tokens`, `answer_tokens`, `source`, `cluster` and `embedding` (a list of floats of fixed size);
    they are read once. `scores_M` and `pool_scores_N` have NaN where there is none. `budget` counts the rows that were asked
    for, where rows were; `excluded` counts by reason the rows that could not be chosen.
    """

    name: str
    positions_M: np.ndarray
    rows: Iterable[pa.Table]
    variant: str = DEFAULT
    settings: dict[str, Any] = field(default_factory=dict)
    budget: int | None = None
    scores_M: np.ndarray | None = None
    pool_scores_N: np.ndarray | None = None
    excluded: dict[str, int] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return label(self.name, self.variant)


def label(name: str, variant: str) -> str:
    """Name a selector with its variant, so that two variants are never taken for one."""
    return name if variant == DEFAULT else f"{name} ({variant})"


@dataclass(frozen=True)
class Histogram:
    """Shares of rows between `edges` (one more than shares), of a choice and, where it is known, of the pool."""

    label: str
    edges: list[float]
    chosen: list[float]
    pool: list[float] | None


@dataclass(frozen=True)
class Pick:
    """One chosen row to show."""

    pick: int
    position: int
    id: str
    score: float | None
    source: str | None
    text: str


@dataclass(frozen=True)
class ChoicesReport:
    """What a page shows and what `data` gives to machines. `pool` and each of `choices` are a row of one table of measures."""

    title: str
    facts: dict[str, Any]
    config: ReportConfig
    pool: dict[str, Any]
    choices: list[dict[str, Any]]
    pairs: list[dict[str, Any]]
    sources: list[dict[str, Any]]
    lengths: list[Histogram]
    scores: list[Histogram]
    picks: dict[str, list[Pick]]

    def data(self) -> dict[str, Any]:
        """Give the measures as JSON values."""
        histograms = {name: [vars(each) for each in getattr(self, name)] for name in ("lengths", "scores")}
        tables = {name: getattr(self, name) for name in ("title", "facts", "pool", "choices", "pairs", "sources")}
        return {**tables, "sampling": vars(self.config), "histograms": histograms}
