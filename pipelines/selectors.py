"""The selectors there are, as a run names them: NAME, or NAME:KEY=VALUE:... for one with settings of its own.

To add one, write it under operators/selectors/ and add an entry; its block goes into SelectJob.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from typing import Any

import numpy as np
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from operators.errors import BadRequest
from operators.selectors.base import Budget, BudgetConfig, Pool, Selector


@dataclass(frozen=True)
class Entry:
    """A selector: what it does in a line, and where it is. `target` says whether it reads a target set too."""

    summary: str
    module: str
    name: str
    target: bool = False


SELECTORS = {
    "random": Entry("uniform, or stratified by a column; the baseline", "random", "Random"),
    "length": Entry("the longest rows in tokens, or a range of lengths", "length", "Length"),
    "cross_entropy": Entry("the highest loss of the answer under a model", "cross_entropy", "CrossEntropy"),
    "perplexity": Entry("the lowest, middle or highest perplexity of the answer", "perplexity", "Perplexity"),
    "ifd": Entry(
        "instruction-following difficulty: loss of the answer with the question to that without (Cherry)", "ifd", "Ifd"
    ),
    "selectit": Entry("a model's own ratings, and how sure it is of them (SelectIT)", "selectit", "SelectIt"),
    "less": Entry("gradients like those of a target set (LESS)", "less", "Less", target=True),
    "k_center": Entry(
        "greedy k-center on embeddings: each row the farthest from those chosen before", "k_center", "KCenter"
    ),
    "diverse_evol": Entry(
        "rounds of k-center on the embeddings of a student that learns what was chosen (DiverseEvol)",
        "listed",
        "Listed",
    ),
    "facility_location": Entry(
        "rows that stand for all others: facility location on embeddings", "facility_location", "FacilityLocation"
    ),
    "zip": Entry("the least compressible together: the entropy law (ZIP)", "zip", "Zip"),
    "clustered": Entry("K-means on embeddings, then the best by a score in each cluster", "clustered", "Clustered"),
    "rds": Entry("embeddings like those of a target set, in turns (RDS+)", "rds", "Rds", target=True),
    "dsir": Entry("n-grams like those of a target set, by importance (DSIR)", "dsir", "Dsir", target=True),
    "deita": Entry("complexity times quality, skipping what is close to a row chosen before (DEITA)", "deita", "Deita"),
}


@dataclass(frozen=True)
class Named:
    """A selector as a run names it: `label` names its folder, `block` are its settings with what differs applied."""

    label: str
    name: str
    block: Any

    @property
    def entry(self) -> Entry:
        return SELECTORS[self.name]


def named(text: str, blocks: Any) -> Named:
    """Read NAME or NAME:KEY=VALUE:..., with the settings of the job's block. Raises BadRequest for what is unknown."""
    name, *differing = text.split(":")
    if name not in SELECTORS:
        near = get_close_matches(name, SELECTORS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise BadRequest(f"no selector named {name!r}.{hint} There are: {', '.join(SELECTORS)}.")
    try:
        block = OmegaConf.merge(OmegaConf.structured(getattr(blocks, name)), OmegaConf.from_dotlist(differing))
        return Named(re.sub(r"[^\w.]+", "-", text), name, OmegaConf.to_object(block))
    except OmegaConfBaseException as error:
        raise BadRequest(f"selectors: {text!r}: {str(error).splitlines()[0]}. See {name}.* in --help.") from error


def class_of(entry: Entry) -> type:
    return getattr(import_module(f"operators.selectors.{entry.module}"), entry.name)


def needs_of(entry: Entry) -> set[str]:
    """Name what a selector is made of beside its block: the names of its constructor's other arguments."""
    return set(list(signature(class_of(entry)).parameters)[1:])


def build(selector: Named, given: dict[str, Any]) -> Selector:
    """Make a selector of its block and of what it asks for among `given`; what is not given is null."""
    beside = {name: given.get(name) for name in needs_of(selector.entry)}
    return class_of(selector.entry)(selector.block, **beside)


def scores_of(selector: Selector, pool: Pool) -> np.ndarray:
    """Give the score of each row, float64 (N), NaN where there is none: what a selector would choose all rows by."""
    choice = selector(pool, Budget(BudgetConfig(share=1.0)))
    scores_N = np.full(pool.rows, np.nan)
    scores_N[choice.positions] = choice.scores
    return scores_N
