import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from operators.errors import BadRequest
from operators.select.choices import Chosen, ReportConfig, report
from tests.operators.select.choices.pools import chosen_of, parts, pool_of

ROWS = 300


@pytest.fixture(scope="module")
def pool() -> pa.Table:
    return pool_of(ROWS)


def report_of(pool: pa.Table, *chosen: Chosen, config: ReportConfig | None = None, **more):
    return report("title", len(pool), parts(pool), chosen, config or ReportConfig(sample=100), **more)


def test_overlap_is_that_of_sets(pool):
    one, other, apart = range(0, 40), range(30, 90), range(200, 210)
    made = report_of(
        pool, *(chosen_of(pool, name, [*rows]) for name, rows in zip("abc", (one, other, apart), strict=True))
    )
    by_names = {(pair["one"], pair["other"]): pair for pair in made.pairs}
    assert list(by_names) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert by_names["a", "b"]["shared"] == 10
    assert by_names["a", "b"]["jaccard"] == 10 / 90
    assert by_names["a", "b"]["shared_by_chance"] == 40 * 60 / ROWS
    assert by_names["a", "c"]["jaccard"] == 0


def test_overlap_by_chance_is_that_of_random_choices(pool):
    rng = np.random.default_rng(0)
    found = [len({*rng.permutation(ROWS)[:60]} & {*range(90)}) for _ in range(2000)]
    pair = report_of(pool, chosen_of(pool, "a", [*range(60)]), chosen_of(pool, "b", [*range(90)])).pairs[0]
    assert pair["shared_by_chance"] == pytest.approx(np.mean(found), rel=0.02)


def test_counts_of_a_choice_are_those_of_its_rows(pool):
    positions = [5, 250, 17, 3, 99]
    made = report_of(pool, chosen_of(pool, "a", positions, budget=7, excluded={"too_long": 2}))
    (row,) = made.choices
    lengths = pool["answer_tokens"].to_numpy()[positions]
    assert (row["rows"], row["budget_rows"], row["unique_ids"], row["excluded"]) == (5, 7, 5, {"too_long": 2})
    assert row["answer_tokens"] == lengths.sum()
    assert row["answer_tokens_quartiles"] == pytest.approx(np.quantile(lengths, [0.25, 0.5, 0.75]).tolist())
    assert made.pool["answer_tokens_mean"] == pytest.approx(pool["answer_tokens"].to_numpy().mean())
    assert made.pairs == []
    sources = {each["source"]: each["a"] for each in made.sources}
    chosen = pool["source"].take(positions).to_pylist()
    assert sources == {name: chosen.count(name) / 5 for name in ("web", "<b>forum</b>")}
    assert sum(made.lengths[0].chosen) == pytest.approx(1)
    assert sum(made.lengths[0].pool) == pytest.approx(1)


def test_histograms_are_those_of_numpy(pool):
    rng = np.random.default_rng(3)
    pool_scores = rng.normal(size=ROWS)
    pool_scores[7] = np.nan
    positions = np.argsort(-np.nan_to_num(pool_scores, nan=-9))[:50]
    made = report_of(pool, chosen_of(pool, "a", positions, scores_M=pool_scores[positions], pool_scores_N=pool_scores))
    (scores,), (lengths,) = made.scores, made.lengths
    counts, _ = np.histogram(pool_scores[positions], scores.edges)
    np.testing.assert_allclose(scores.chosen, counts / 50)
    finite = np.clip(pool_scores[np.isfinite(pool_scores)], scores.edges[0], scores.edges[-1])
    np.testing.assert_allclose(scores.pool, np.histogram(finite, scores.edges)[0] / 299)
    counts, _ = np.histogram(pool["answer_tokens"].to_numpy(), [*lengths.edges[:-1], lengths.edges[-1]])
    np.testing.assert_allclose(lengths.pool, counts / ROWS)


def test_random_choices_cover_as_much_as_chance_says():
    hits, nearest = [], []
    for seed in range(12):
        pool = pool_of(1000, seed)
        chosen = chosen_of(pool, "random", np.random.default_rng(seed).permutation(1000)[:60].tolist())
        (row,) = report_of(pool, chosen, config=ReportConfig(sample=100, clusters=15)).choices
        hits.append(row["clusters_hit"] - row["clusters_hit_by_chance"])
        nearest.append(row["nearest_distance"] - row["nearest_distance_by_chance"])
    for differences in (hits, nearest):
        assert abs(np.mean(differences)) < 3 * np.std(differences, ddof=1) / np.sqrt(12)


def test_a_choice_of_one_corner_covers_less_than_chance(pool):
    vectors = np.stack(pool["embedding"].to_pylist())
    corner = np.argsort(-vectors[:, 0])[:40].tolist()
    (row,) = report_of(pool, chosen_of(pool, "corner", corner)).choices
    assert row["clusters_hit"] < row["clusters_hit_by_chance"]
    assert row["nearest_distance"] > row["nearest_distance_by_chance"]


def test_clusters_of_the_rows_themselves_are_counted_exactly(pool):
    labels = np.arange(ROWS) % 10
    pool = pool.drop_columns("embedding").append_column("cluster", pa.array(labels))
    (row,) = report_of(pool, chosen_of(pool, "a", [0, 10, 20, 1])).choices
    assert (row["clusters"], row["clusters_hit"]) == (10, 0.2)
    assert row["clusters_hit_by_chance"] == pytest.approx(1 - (270 * 269 * 268 * 267) / (300 * 299 * 298 * 297))


def test_texts_are_embedded_once_each_where_the_rows_have_no_embedding(pool):
    asked = []

    def embed(texts: list[str]) -> np.ndarray:
        asked.extend(texts)
        return np.random.default_rng(len(texts)).normal(size=(len(texts), 4)).astype(np.float32)

    bare = pool.drop_columns("embedding")
    chosen = [chosen_of(bare, name, [*range(50)]) for name in "ab"]
    made = report_of(bare, *chosen, embed=embed, config=ReportConfig(sample=50))
    assert 100 <= len(asked) <= 150
    assert made.choices[0]["nearest_distance"] == made.choices[1]["nearest_distance"]
    assert "embedded_rows" not in report_of(bare, chosen_of(bare, "a", [1])).choices[0]


def test_rows_without_a_finite_embedding_are_left_out(pool):
    vectors = np.stack(pool["embedding"].to_pylist())
    vectors[:10] = np.nan
    vectors[10] = 0
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 8)
    pool = pool.set_column(pool.column_names.index("embedding"), "embedding", column)
    (row,) = report_of(pool, chosen_of(pool, "a", [*range(20)])).choices
    assert row["embedded_rows"] == 9
    assert np.isfinite(row["nearest_distance"])


@pytest.mark.parametrize("positions", [[], [4], [*range(ROWS)]])
def test_a_choice_of_none_of_one_and_of_all_rows_has_a_report(pool, positions):
    made = report_of(pool, chosen_of(pool, "a", positions, scores_M=np.ones(len(positions))))
    assert made.choices[0]["rows"] == made.choices[0]["unique_ids"] == len(positions)
    assert len(made.picks["a"]) == min(5, len(positions))
    json.dumps(made.data(), allow_nan=False)


def test_a_pool_of_one_row_has_a_report():
    pool = pool_of(1)
    made = report_of(pool, chosen_of(pool, "a", [0]))
    assert made.choices[0]["clusters"] == 1


def test_equal_choices_measure_equal_in_any_order_of_the_pool(pool):
    positions = [*range(0, 300, 3)]
    shuffled = pool.take(np.random.default_rng(2).permutation(ROWS))
    one = report("t", ROWS, parts(pool), [chosen_of(pool, "a", positions)], ReportConfig(sample=50))
    other = report("t", ROWS, parts(shuffled, 11), [chosen_of(pool, "a", positions)], ReportConfig(sample=50))
    assert one.data() == other.data()


def test_the_compression_of_a_choice_is_compared_with_as_much_of_the_pool(pool):
    repeated = pool.take([3] * 30).set_column(0, "id", pa.array([f"copy-{row}" for row in range(30)]))
    chosen = Chosen("copies", np.arange(30), parts(repeated))
    (row,) = report_of(pool, chosen).choices
    assert row["compression_ratio"] > 2 * row["pool_compression_ratio"]
    assert row["distinct_2"] < row["pool_distinct_2"]
    assert row["equal_content_rows"] == 29


def test_choices_that_cannot_be_told_apart_are_refused(pool):
    one = chosen_of(pool, "a", [1])
    with pytest.raises(BadRequest, match="a, a"):
        report_of(pool, one, one)
    with pytest.raises(BadRequest, match="none"):
        report_of(pool)
    both = report_of(pool, chosen_of(pool, "a", [1]), chosen_of(pool, "a", [1], variant="as_released"))
    assert [row["label"] for row in both.choices] == ["a", "a (as_released)"]
    with pytest.raises(ValueError, match="2 positions, and 1 rows"):
        report_of(pool, replace(one, positions_M=np.array([1, 2])))
    with pytest.raises(BadRequest, match=r"report\.sample"):
        ReportConfig(sample=0)
