"""How much of a pool a choice covers, seen by embeddings of samples: K-means clusters that it hits, and nearest neighbours.

Every figure has its counterpart for a random choice of as many rows, because coverage grows with the number of rows alone.
Shapes: P rows of the pool's sample, M of a choice's sample, E dimensions, K clusters.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from operators.errors import BadRequest
from operators.select.choices.measures import expected_hits, mean_nearest_distance, mean_pairwise_distance
from operators.select.choices.survey import Survey, digests_of

Embed = Callable[[list[str]], np.ndarray]  # texts to float32 (N, E)
ROWS_A_CLUSTER = 5  # of the sample at the least, for K-means to find groups and not single rows


@dataclass(frozen=True)
class Vectors:
    """Rows of a sample that have an embedding: digests of their ids (M), and vectors of length 1 (M, E)."""

    ids_M: np.ndarray
    vectors_ME: np.ndarray


def vectors_of(surveys: Sequence[Survey], embed: Embed | None) -> list[Vectors] | None:
    """Give the embeddings of samples: those the rows bring, else those of `embed`, which sees each row once.

    Rows without a finite vector are left out. None where there is neither.
    """
    samples = [survey.sample for survey in surveys]
    if all(sample is None or "embedding" in sample.column_names for sample in samples):
        return [_given(sample) for sample in samples]
    if embed is None or any(sample is not None and "text" not in sample.column_names for sample in samples):
        return None
    texts = {}
    for sample in filter(None, samples):
        texts |= {
            id: text for id, text in zip(*(sample[name].to_pylist() for name in ("id", "text")), strict=True) if text
        }
    places = {id: place for place, id in enumerate(texts)}
    embedded = np.asarray(embed(list(texts.values())), np.float32) if texts else np.zeros((0, 1), np.float32)
    ids = [[id for id in sample["id"].to_pylist() if id in places] if sample else [] for sample in samples]
    return [_finite(each, embedded[[places[id] for id in each]]) for each in ids]


def _given(sample: pa.Table | None) -> Vectors:
    if sample is None:
        return _finite([], np.zeros((0, 1), np.float32))
    known = sample.filter(sample["embedding"].is_valid())
    size = sample.schema.field("embedding").type.list_size
    flat = known["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return _finite(known["id"].to_pylist(), flat.astype(np.float32).reshape(-1, size))


def _finite(ids: list[str], vectors_ME: np.ndarray) -> Vectors:
    lengths_M = np.linalg.norm(vectors_ME.astype(np.float64), axis=1)
    good_M = np.isfinite(lengths_M) & (lengths_M > 0)
    scaled_ME = vectors_ME[good_M] / lengths_M[good_M, None].astype(np.float32)
    return Vectors(digests_of(ids)[good_M], scaled_ME)


class Coverage:
    """The pool's sample in clusters. Its first half makes the clusters and looks for neighbours, the second stands for chance.

    A choice is measured by no more rows than the second half has.
    """

    def __init__(self, pool: Vectors, clusters: int, seed: int):
        from sklearn.cluster import KMeans  # takes a second

        if not len(pool.ids_M):
            raise BadRequest(
                "no row of the pool's sample has a finite embedding. Leave the embeddings out, or measure again."
            )
        half = (len(pool.ids_M) + 1) // 2
        self.probes, self.others_PE = Vectors(pool.ids_M[:half], pool.vectors_ME[:half]), pool.vectors_ME[half:]
        distinct = len(np.unique(self.probes.vectors_ME, axis=0))
        self.clusters = max(1, min(clusters, half // ROWS_A_CLUSTER, distinct))
        self.means = KMeans(self.clusters, n_init=4, random_state=seed).fit(self.probes.vectors_ME)
        # Counted on rows that K-means has not seen: the rows it was fitted to fill their clusters too well.
        self.counts_K = self._counts(self.others_PE)

    def of(self, sample: Vectors, survey: Survey) -> dict[str, Any]:
        """Measure a choice by its sample. Probes that the choice holds are left out: their distance is 0 by themselves."""
        drawn = min(len(sample.ids_M), len(self.others_PE))
        vectors_ME = sample.vectors_ME[:drawn]
        probes_PE = self.probes.vectors_ME[~survey.has(self.probes.ids_M)]
        return {
            "embedded_rows": drawn,
            "clusters": self.clusters,
            "clusters_hit": np.count_nonzero(self._counts(vectors_ME)) / self.clusters,
            "clusters_hit_by_chance": expected_hits(self.counts_K, drawn) / self.clusters,
            "nearest_distance": mean_nearest_distance(probes_PE, vectors_ME),
            "nearest_distance_by_chance": mean_nearest_distance(probes_PE, self.others_PE[:drawn]),
            "pairwise_distance": mean_pairwise_distance(sample.vectors_ME),
        }

    def _counts(self, vectors_ME: np.ndarray) -> np.ndarray:
        nearest_M = self.means.predict(vectors_ME) if len(vectors_ME) else np.zeros(0, np.int64)
        return np.bincount(nearest_M, minlength=self.clusters)


def label_coverage(pool: Survey, survey: Survey, rows: int) -> dict[str, Any]:
    """Measure over all chosen rows how many of the pool's own clusters (column `cluster`) they hit."""
    sizes = pool.named["cluster"]
    hit = len(survey.named.get("cluster", {}).keys() & sizes.keys())
    sizes_K = np.array(list(sizes.values())) * (rows / sizes.total())
    drawn = survey.named["cluster"].total() if "cluster" in survey.named else 0
    return {
        "clusters": len(sizes),
        "clusters_hit": hit / len(sizes),
        "clusters_hit_by_chance": expected_hits(sizes_K, drawn) / len(sizes),
    }
