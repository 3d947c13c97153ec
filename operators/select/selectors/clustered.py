"""K-means over embeddings, then the best rows of each cluster: by a score, the nearest to the center, or by chance.

Shapes: N rows of the pool, C clusters, M rows chosen.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, Choice, Pool
from operators.select.selectors.picking.columns import check_variant, with_reasons
from operators.select.selectors.picking.k_means import NO_CLUSTER, k_means, squared_distances
from operators.select.selectors.picking.picks import check_number, drawn, finite_rows, finite_scores, left_out
from operators.select.selectors.picking.quotas import QUOTAS, quotas
from operators.settings import setting

RELEASED_ROWS = 100  # embeddings that the paper's code clusters
NOT_REPRODUCED = "embeddings that average over padding too"


@dataclass
class ClusteredConfig:
    clusters: int = setting(100, "number of clusters; 10 in the paper's code")
    by: str = setting(
        "cross_entropy", "within a cluster: a selector's score (its name), nearest (to the center), or random"
    )
    quota: str = setting("equal", "rows of each cluster: equal, or in proportion to the sqrt of its size")
    iterations: int = setting(20, "iterations of K-means")
    sample: int = setting(256, "rows for each cluster that K-means is trained on, at most")
    seed: int = setting(0, "seed of K-means and of by=random")
    variant: str = setting(
        "default",
        f"default; or as_released: the row nearest to each center, of the first {RELEASED_ROWS} rows of the pool only",
    )

    def __post_init__(self):
        for name in ("clusters", "iterations", "sample"):
            check_number(f"clustered.{name}", getattr(self, name), 1)
        if self.quota not in QUOTAS:
            raise BadRequest(f"clustered.quota is {self.quota!r}. It may be {' or '.join(QUOTAS)}.")
        check_variant("clustered", self.variant)


class Clustered:
    """Choose the highest scores of each cluster, ties by the earliest position, as many of each as its quota says.

    `scores` gives the score of each row of a pool, float64 (N), NaN where there is none; it is asked for unless `clustered.by` is
    nearest or random. The picks take turns: the best row of each cluster by cluster number, then the second best. The clusters
    are in the notes as a column to save (int32 (N), -1 for rows without an embedding). A budget of tokens takes the largest
    number of rows of which the choice fits (with quota=sqrt one near it: those quotas may fall where there are more rows).
    Source: "Rethinking Data Selection at Scale", arXiv:2410.09335.
    """

    Config = ClusteredConfig
    asks = ("scores",)

    def __init__(self, config: ClusteredConfig, scores: Callable[[Pool], np.ndarray] | None = None):
        self.config, self._scores = config, scores
        self.reads = ("id", *with_reasons("embedding"))
        if config.variant == "default" and config.by not in ("nearest", "random") and scores is None:
            raise BadRequest(
                f"clustered.by is {config.by!r}, and no scores of that name are at hand. Name a selector that scores rows, "
                "or set clustered.by to nearest or random."
            )

    def __call__(self, pool: Pool, budget: Budget) -> Choice:
        if self.config.variant == "as_released":
            return self._as_released(pool, budget)
        matrix_ND, config = pool.matrix("embedding"), self.config
        labels_N, centers_CD = k_means(matrix_ND, config.clusters, config.iterations, config.sample, config.seed)
        score_N = self._score(pool, matrix_ND, labels_N, centers_CD)
        clustered_N = labels_N != NO_CLUSTER
        eligible = np.flatnonzero(clustered_N & ~np.isnan(score_N))
        ranks = _ranked(labels_N[eligible], score_N[eligible])
        sizes_C = np.bincount(labels_N[eligible], minlength=len(centers_CD))

        def choice_of(rows: int) -> np.ndarray:
            quotas_C = quotas(sizes_C, rows, config.quota)
            chosen = ranks < quotas_C[labels_N[eligible]]
            return eligible[chosen][np.lexsort((labels_N[eligible][chosen], ranks[chosen]))]

        excluded = left_out(pool, clustered_N, "embedding")
        if unscored := int(np.count_nonzero(clustered_N & np.isnan(score_N))):
            excluded["no_score"] = unscored
        positions = _largest_that_fits(choice_of, budget, budget.rows(len(eligible), excluded))
        notes = {
            "clusters": len(centers_CD),
            "clusters_hit": len(np.unique(labels_N[positions])),
            "columns": {"cluster": labels_N},
        }
        return Choice(positions, score_N[positions], excluded, notes)

    def _score(self, pool: Pool, matrix_ND, labels_N: np.ndarray, centers_CD: np.ndarray) -> np.ndarray:
        if self.config.by == "nearest":
            return -np.sqrt(squared_distances(matrix_ND, labels_N, centers_CD))
        if self.config.by == "random":
            return drawn(pool, self.config.seed)
        return finite_scores(np.asarray(self._scores(pool), np.float64))

    def _as_released(self, pool: Pool, budget: Budget) -> Choice:
        """Take the rows nearest to the centers of K-means on the first rows: one for each center, by cluster number."""
        from sklearn.cluster import KMeans

        matrix_ND = pool.matrix("embedding")
        finite_N = finite_rows(matrix_ND)
        first = np.flatnonzero(finite_N)[:RELEASED_ROWS]
        wanted = budget.rows(int(np.count_nonzero(finite_N)))
        labels_N, picks = np.full(pool.rows, NO_CLUSTER, np.int32), []
        if len(first):
            trained = KMeans(min(self.config.clusters, len(first)), random_state=0).fit(
                matrix_ND[first].astype(np.float64)
            )
            labels_N[first] = trained.labels_
            for center_D in trained.cluster_centers_:
                nearest = int(first[np.argmin(np.square(matrix_ND[first] - center_D).sum(axis=1))])
                picks += [nearest] if nearest not in picks else []
        positions = budget.prefix(np.array(picks[:wanted], np.int64))
        notes = {"not_reproduced": NOT_REPRODUCED, "wanted": wanted, "columns": {"cluster": labels_N}}
        return Choice(positions, None, left_out(pool, finite_N, "embedding"), notes)


def _ranked(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Number rows within their cluster from 0, the highest score first, ties in the order given."""
    order = np.lexsort((-scores, labels))
    ordered = labels[order]
    ranks = np.empty(len(labels), np.int64)
    ranks[order] = np.arange(len(labels)) - np.searchsorted(ordered, ordered)
    return ranks


def _largest_that_fits(choice_of: Callable[[int], np.ndarray], budget: Budget, rows: int) -> np.ndarray:
    """Give the choice of `rows` rows, or of the largest number for which it fits into the budget's tokens."""
    positions = choice_of(rows)
    if len(budget.prefix(positions)) == len(positions):
        return positions
    fits, too_many = 0, rows
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        positions = choice_of(middle)
        if len(budget.prefix(positions)) == len(positions):
            fits = middle
        else:
            too_many = middle
    return choice_of(fits)
