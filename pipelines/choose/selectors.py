"""The selectors there are. To add one, write it under operators/selectors/ and add an entry; its block goes into SelectJob."""

from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class Entry:
    """A selector: what it does in a line, and where it is. `target` says whether it reads a target set too."""

    summary: str
    module: str
    name: str
    target: bool = False

    def selector_class(self) -> type:
        return getattr(import_module(f"operators.select.selectors.{self.module}"), self.name)


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
