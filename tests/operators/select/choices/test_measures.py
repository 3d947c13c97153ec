import itertools
import math
import zlib

import numpy as np
import pytest

from operators.select.choices.measures import (
    clipped,
    compression_ratio,
    distinct,
    expected_hits,
    mean_nearest_distance,
    mean_pairwise_distance,
    words_of,
)


def unit(rows: int, dimensions: int = 5, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_distances_are_those_of_loops_over_all_pairs():
    one, other = unit(12), unit(7, seed=1)
    pairs = [1 - float(a @ b) for a, b in itertools.combinations(one.astype(np.float64), 2)]
    assert mean_pairwise_distance(one) == pytest.approx(np.mean(pairs), abs=1e-6)
    nearest = [min(1 - float(a @ b) for b in other.astype(np.float64)) for a in one.astype(np.float64)]
    assert mean_nearest_distance(one, other) == pytest.approx(np.mean(nearest), abs=1e-6)


def test_measures_of_too_little_are_none():
    assert mean_pairwise_distance(unit(1)) is None
    assert mean_nearest_distance(unit(0), unit(3)) is None
    assert mean_nearest_distance(unit(3), unit(0)) is None
    assert compression_ratio(b"") is None
    assert distinct([], 1, 10) is None
    assert distinct([["alone"]], 2, 10) is None


def test_distinct_counts_runs_inside_texts_up_to_the_limit():
    words = [["a", "b", "a"], ["a", "b"], ["c"]]
    assert distinct(words, 1, 100) == 3 / 6
    assert distinct(words, 2, 100) == 2 / 3  # ab, ba, ab
    assert distinct(words, 1, 4) == 2 / 4
    assert distinct(words, 2, 4) == 2 / 2


def test_words_are_those_of_any_language():
    assert words_of(["The mill, 물레방아는 강가에.", "我们在北京大学学习"], 100) == [
        ["The", "mill", ",", "물레방아는", "강가에", "."],
        ["我们", "在", "北京", "大学", "学习"],
    ]
    assert words_of(["a b c", "d"], 2) == [["a", "b"]]


def test_the_compression_ratio_is_that_of_zlib():
    text = clipped(["한국어", "mill " * 50, "never read"], 40)
    assert text == ("한국어\n" + "mill " * 50).encode()[:40]
    assert compression_ratio(text) == 40 / len(zlib.compress(text, 9))


@pytest.mark.parametrize("drawn", [0, 1, 3, 6, 7])
def test_expected_hits_are_the_mean_over_all_choices(drawn):
    sizes = [1, 2, 4]
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    choices = list(itertools.combinations(labels, drawn))
    mean = math.fsum(len(set(choice)) for choice in choices) / len(choices)
    assert expected_hits(np.array(sizes), drawn) == pytest.approx(mean)
