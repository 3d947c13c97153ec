"""K-means, then the best of each cluster: exact given the labels."""

import numpy as np
import pytest

from operators.errors import BadRequest
from operators.select.selectors.base import Budget, BudgetConfig
from operators.select.selectors.clustered import Clustered, ClusteredConfig
from operators.select.selectors.picking.k_means import k_means
from tests.operators.select.selectors.pools import MemoryPool

SIZES = (30, 12, 50, 8)


def blobs(seed=0):
    """Four clusters far from each other, their rows mixed."""
    dice = np.random.default_rng(seed)
    centers = 100 * np.eye(4, 6)
    truth = dice.permutation(np.repeat(np.arange(4), SIZES))
    return (centers[truth] + dice.standard_normal((len(truth), 6))).astype(np.float32), truth


def choose(rows_ND, budget, scores=None, part_rows=3, **settings):
    pool = MemoryPool({}, {"embedding": rows_ND}, part_rows=part_rows)
    provider = None if scores is None else lambda given: scores
    config = ClusteredConfig(**{"clusters": 4, **settings})
    return Clustered(config, provider)(pool, Budget(BudgetConfig(rows=budget)) if isinstance(budget, int) else budget)


def best_in_turns(labels, scores, budget):
    """The definition for equal quotas: clusters by number, each its best row that is left."""
    lists = [
        sorted(
            (row for row in np.flatnonzero(labels == cluster) if not np.isnan(scores[row])),
            key=lambda row: (-scores[row], row),
        )
        for cluster in range(labels.max() + 1)
    ]
    turns = [rows[turn] for turn in range(len(labels)) for rows in lists if turn < len(rows)]
    return turns[:budget]


def test_the_clusters_found_are_those_that_are_there():
    rows_ND, truth = blobs()
    labels = choose(rows_ND, 10, by="nearest").notes["columns"]["cluster"]
    assert labels.dtype == np.int32
    assert len(set(zip(labels.tolist(), truth.tolist(), strict=True))) == 4


@pytest.mark.parametrize("scale", [2.0**-140, 2.0**115])
def test_the_size_of_the_numbers_does_not_change_the_clusters(scale):
    whole, _ = blobs()
    whole = np.round(whole)
    assert k_means(whole * np.float32(scale), 4, 20, 256, 0)[0].tolist() == k_means(whole, 4, 20, 256, 0)[0].tolist()


@pytest.mark.parametrize("budget", [0, 1, 7, 40, 96])
def test_each_cluster_gives_its_highest_scores_ties_by_position_none_without_a_score(budget):
    rows_ND, _ = blobs()
    scores = np.random.default_rng(1).integers(0, 5, len(rows_ND)).astype(float)
    scores[[2, 5, 6, 40]] = np.nan
    choice = choose(rows_ND, budget, scores)
    assert choice.positions.tolist() == best_in_turns(choice.notes["columns"]["cluster"], scores, budget)
    assert choice.scores.tolist() == scores[choice.positions].tolist()
    assert choice.excluded == {"no_score": 4}


def test_nearest_takes_the_rows_nearest_to_the_centers():
    rows_ND, _ = blobs()
    labels, centers = k_means(rows_ND, 4, 20, 256, 0)
    distances = np.sqrt(
        [np.square(row - centers[label]).sum() for row, label in zip(rows_ND.astype(float), labels, strict=True)]
    )
    assert choose(rows_ND, 9, by="nearest").positions.tolist() == best_in_turns(labels, -distances, 9)


def test_random_does_not_depend_on_parts_and_changes_with_the_seed():
    rows_ND, _ = blobs()
    one = choose(rows_ND, 20, by="random").positions.tolist()
    assert one == choose(rows_ND, 20, by="random", part_rows=100).positions.tolist()
    assert set(one) != set(choose(rows_ND, 20, by="random", seed=5).positions.tolist())


def test_the_same_seed_gives_the_same_clusters_also_from_a_sample():
    rows_ND = np.random.default_rng(0).standard_normal((500, 5)).astype(np.float32)
    one, again = (k_means(rows_ND, 7, 10, 20, 3)[0] for _ in range(2))
    assert one.tolist() == again.tolist()
    assert one.tolist() != k_means(rows_ND, 7, 10, 20, 4)[0].tolist()


def test_rows_without_an_embedding_have_no_cluster_and_are_never_chosen():
    rows_ND, _ = blobs()
    rows_ND[4, 1], rows_ND[9] = np.inf, np.nan
    choice = choose(rows_ND, 98, by="nearest")
    assert choice.excluded == {"not_finite": 2}
    assert np.flatnonzero(choice.notes["columns"]["cluster"] == -1).tolist() == [4, 9]
    assert not {4, 9} & set(choice.positions.tolist())
    with pytest.raises(BadRequest, match="only 98 rows"):
        choose(rows_ND, 99, by="nearest")


@pytest.mark.parametrize("quota", ["equal", "sqrt"])
def test_a_budget_of_tokens_takes_the_largest_choice_that_fits(quota):
    rows_ND, _ = blobs()
    tokens = np.random.default_rng(2).integers(1, 30, len(rows_ND))
    chosen = choose(rows_ND, Budget(BudgetConfig(tokens=400), tokens), by="nearest", quota=quota).positions
    assert chosen.tolist() == choose(rows_ND, len(chosen), by="nearest", quota=quota).positions.tolist()
    assert tokens[chosen].sum() <= 400
    assert tokens[choose(rows_ND, len(chosen) + 1, by="nearest", quota=quota).positions].sum() > 400


def test_fewer_rows_than_clusters_and_one_row_and_no_embedding_at_all():
    rows_ND, _ = blobs()
    assert sorted(choose(rows_ND[:3], 3, by="nearest").positions.tolist()) == [0, 1, 2]
    assert choose(rows_ND[:1], 1, by="nearest").positions.tolist() == [0]
    assert choose(np.full((2, 3), np.nan, np.float32), 0, by="nearest").positions.tolist() == []


def test_as_released_clusters_the_first_hundred_rows_and_ignores_scores():
    rows_ND = np.concatenate([blobs()[0], 1000 + blobs(seed=1)[0]])
    choice = choose(rows_ND, 50, by="ifd", variant="as_released")
    labels = choice.notes["columns"]["cluster"]
    assert (labels[100:] == -1).all() and choice.positions.max() < 100
    assert sorted(labels[choice.positions].tolist()) == [0, 1, 2, 3]
    assert choice.notes["wanted"] == 50
    for position in choice.positions:
        own = np.flatnonzero(labels == labels[position])
        center = rows_ND[own].astype(float).mean(axis=0)
        assert position == own[np.square(rows_ND[own] - center).sum(axis=1).argmin()]


def test_what_cannot_be_is_refused():
    with pytest.raises(BadRequest, match="no scores of that name"):
        Clustered(ClusteredConfig(by="ifd"))
    with pytest.raises(BadRequest, match="equal or sqrt"):
        ClusteredConfig(quota="log")
    with pytest.raises(BadRequest, match="infinite score"):
        choose(blobs()[0], 5, np.full(100, np.inf))
