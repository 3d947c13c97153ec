"""The selectors there are. To add one, write operators/select/selectors/NAME.py and a line here.

Its settings, the columns that it reads and what else it is handed follow from its class (base.py:Selector there).
"""

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from operators.select.selectors.base import Selector


SELECTORS_FOLDER = "operators.select.selectors"


@dataclass(frozen=True)
class SelectorEntry:
    """A selector, free of what it imports: what it does in a line, and its class, MODULE:CLASS in operators/select/selectors.

    Where more has to be made before its choice than the columns that it reads, `preparation` is the address of the class that
    makes it (pipelines/select/prepare/base.py:Preparation), and `block` that of its block where that says more than the
    selector's own Config.
    """

    summary: str
    selector: str
    block: str | None = None
    preparation: str | None = None

    def selector_class(self) -> type["Selector"]:
        return _loaded(f"{SELECTORS_FOLDER}.{self.selector}")

    def block_class(self) -> type:
        return _loaded(self.block) if self.block else self.selector_class().Config

    def preparation_class(self) -> type | None:
        return _loaded(self.preparation) if self.preparation else None


def _loaded(address: str) -> Any:
    """Import a class when it is asked for: the command line lists selectors without numpy."""
    module, _, name = address.partition(":")
    return getattr(import_module(module), name)


SELECTORS = {
    "random": SelectorEntry("uniform, or stratified by a column; the baseline", "random:Random"),
    "length": SelectorEntry("the longest rows in tokens, or a range of lengths", "length:Length"),
    "cross_entropy": SelectorEntry("the highest loss of the answer under a model", "cross_entropy:CrossEntropy"),
    "perplexity": SelectorEntry("the lowest, middle or highest perplexity of the answer", "perplexity:Perplexity"),
    "ifd": SelectorEntry(
        "instruction-following difficulty: loss of the answer with the question to that without (Cherry)", "ifd:Ifd"
    ),
    "selectit": SelectorEntry("a model's own ratings, and how sure it is of them (SelectIT)", "selectit:SelectIt"),
    "less": SelectorEntry(
        "gradients like those of a target set (LESS)",
        "less:Less",
        block="pipelines.select.prepare.less.job:LessBlock",
        preparation="pipelines.select.prepare.less.preparation:PrepareLess",
    ),
    "k_center": SelectorEntry(
        "greedy k-center on embeddings: each row the farthest from those chosen before", "k_center:KCenter"
    ),
    "diverse_evol": SelectorEntry(
        "rounds of k-center on the embeddings of a student that learns what was chosen (DiverseEvol)",
        "diverse_evol:DiverseEvol",
        preparation="pipelines.select.prepare.diverse_evol:PrepareDiverseEvol",
    ),
    "facility_location": SelectorEntry(
        "rows that stand for all others: facility location on embeddings", "facility_location:FacilityLocation"
    ),
    "zip": SelectorEntry("the least compressible together: the entropy law (ZIP)", "zip:Zip"),
    "clustered": SelectorEntry(
        "K-means on embeddings, then the best by a score in each cluster", "clustered:Clustered"
    ),
    "rds": SelectorEntry("embeddings like those of a target set, in turns (RDS+)", "rds:Rds"),
    "dsir": SelectorEntry("n-grams like those of a target set, by importance (DSIR)", "dsir:Dsir"),
    "deita": SelectorEntry(
        "complexity times quality, skipping what is close to a row chosen before (DEITA)", "deita:Deita"
    ),
}


def selector_blocks() -> list[tuple[str, type, Any]]:
    """Give the blocks of all selectors, as fields of a dataclass: name, type, default."""
    blocks = {name: entry.block_class() for name, entry in SELECTORS.items()}
    return [(name, block, field(default_factory=block)) for name, block in blocks.items()]
