import json
import math
from statistics import mean, stdev

import pytest
from scipy import stats

from operators.errors import BadRequest
from operators.select.comparison import Metric, TrainedStudent, compare, comparison_page, comparison_table
from operators.select.comparison.statistics import BETTER, NO_SPREAD, REFERENCE, TOO_FEW, WITHIN, WORSE, holm
from tests.operators.select.choices.test_page import Reader

RANDOM = [0.781, 0.773, 0.790, 0.768, 0.785]
ACCURACY, LOSS = Metric("accuracy", True, 100), Metric("loss", False)


def student(selector: str, seed: int, accuracy: float | None, **more) -> TrainedStudent:
    loss = None if accuracy is None else 1 - accuracy
    return TrainedStudent(selector, seed, 100, 5000, {"accuracy": accuracy, "loss": loss}, **more)


def randoms(values=RANDOM, **more) -> list[TrainedStudent]:
    return [student("random", seed, value, **more) for seed, value in enumerate(values)]


def lines_of(*students: TrainedStudent, metrics=(ACCURACY,)) -> dict:
    return {(line.metric, line.method): line for line in compare("t", students, metrics).lines}


def test_one_run_is_judged_by_the_prediction_interval_of_random():
    half = stats.t.ppf(0.975, 4) * stdev(RANDOM) * math.sqrt(1 + 1 / 5)
    for sign, verdict in ((1, BETTER), (-1, WORSE)):
        inside, outside = (mean(RANDOM) + sign * factor * half for factor in (0.999, 1.001))
        lines = lines_of(*randoms(), student("in", 0, inside), student("out", 0, outside))
        assert lines["accuracy", "in"].verdict == WITHIN
        assert lines["accuracy", "out"].verdict == verdict
        assert lines["accuracy", "out"].p == pytest.approx(0.05, abs=0.002)


def test_the_best_random_run_is_never_what_a_method_is_held_against():
    line = lines_of(*randoms(), student("zip", 0, 0.788))["accuracy", "zip"]
    assert line.difference == pytest.approx(78.8 - 100 * mean(RANDOM))
    assert line.in_sd == pytest.approx(line.difference / (100 * stdev(RANDOM)))


def test_several_runs_are_judged_by_welch():
    values = [0.80, 0.81, 0.795]
    lines = lines_of(*randoms(), *(student("k_center", seed, value) for seed, value in enumerate(values)))
    line = lines["accuracy", "k_center"]
    assert line.p == pytest.approx(stats.ttest_ind(values, RANDOM, equal_var=False).pvalue)
    assert (line.runs, line.sd) == (3, pytest.approx(100 * stdev(values)))
    assert line.verdict == BETTER


def test_a_loss_is_better_when_it_is_lower():
    lines = lines_of(*randoms(), student("good", 0, 0.9), student("bad", 0, 0.5), metrics=(LOSS,))
    assert lines["loss", "good"].difference < 0 < lines["loss", "good"].better
    assert (lines["loss", "good"].verdict, lines["loss", "bad"].verdict) == (BETTER, WORSE)


def test_two_random_runs_are_too_few_and_the_page_says_so():
    compared = compare("t", [*randoms(RANDOM[:2]), student("zip", 0, 0.99)], [ACCURACY])
    assert compared.lines[1].verdict == TOO_FEW
    assert compared.lines[1].p is None
    assert compared.comparisons == 0
    assert compared.lines[1].difference > 0
    assert "2 runs of random are too few" in comparison_page(compared)
    assert "2 runs of random are too few" in comparison_table(compared)
    assert "Only 3 runs of random" in comparison_page(compare("t", randoms(RANDOM[:3]), [ACCURACY]))
    assert "runs of random:" not in comparison_page(compare("t", randoms(), [ACCURACY]))


def test_random_runs_without_spread_give_no_verdict():
    line = lines_of(*randoms([0.8] * 5), student("zip", 0, 0.99))["accuracy", "zip"]
    assert (line.verdict, line.p, line.in_sd) == (NO_SPREAD, None, None)


def test_holm_is_the_stepwise_bonferroni():
    assert holm([]) == []
    assert holm([0.02]) == [0.02]
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1, 1]


def test_a_verdict_that_falls_to_the_number_of_comparisons_says_so():
    many = [student(f"none-{number}", 0, mean(RANDOM)) for number in range(9)]
    half = stats.t.ppf(0.975, 4) * stdev(RANDOM) * math.sqrt(1.2)
    compared = compare("t", [*randoms(), student("lucky", 0, mean(RANDOM) + 1.1 * half), *many], [ACCURACY])
    line = next(line for line in compared.lines if line.method == "lucky")
    assert (line.verdict, line.verdict_holm) == (BETTER, WITHIN)
    assert line.holm == pytest.approx(10 * line.p)
    assert compared.comparisons == 10
    assert "better, but not after Holm" in Reader(comparison_page(compared)).texts["td"]


def test_false_verdicts_are_as_frequent_as_the_level_says():
    import numpy as np

    rng = np.random.default_rng(0)
    trials = 600
    wrong = 0
    for _ in range(trials):
        values = rng.normal(0.8, 0.01, 6)
        wrong += lines_of(*randoms(values[:5]), student("same", 0, values[5]))["accuracy", "same"].verdict != WITHIN
    assert 0.02 < wrong / trials < 0.08


def test_students_are_compared_within_their_budget():
    students = [*randoms(budget="100 rows"), *randoms([value + 0.1 for value in RANDOM], budget="200 rows")]
    students += [student("zip", 0, 0.9, budget=budget) for budget in ("100 rows", "200 rows")]
    verdicts = {line.budget: line.verdict for line in compare("t", students, [ACCURACY]).lines if line.method == "zip"}
    assert verdicts == {"100 rows": BETTER, "200 rows": WITHIN}


def test_variants_and_references_keep_their_lines():
    lines = lines_of(
        *randoms(),
        student("ifd", 0, 0.5),
        student("ifd", 0, 0.78, variant="as_released"),
        student("all", 0, 0.95, reference=True),
    )
    assert lines["accuracy", "ifd"].verdict == WORSE
    assert lines["accuracy", "ifd (as_released)"].verdict == WITHIN
    assert lines["accuracy", "all"].verdict == REFERENCE
    assert lines["accuracy", "all"].p is None


def test_a_value_that_is_missing_is_counted_and_left_out():
    compared = compare(
        "t", [*randoms(), student("zip", 0, None), student("zip", 1, 0.9), student("less", 0, math.nan)], [ACCURACY]
    )
    lines = {line.method: line for line in compared.lines}
    assert (lines["zip"].runs, lines["zip"].missing, lines["zip"].mean) == (1, 1, 90)
    assert (lines["less"].runs, lines["less"].mean, lines["less"].p) == (0, None, None)
    assert "1 (1 lost)" in comparison_table(compared)
    comparison_page(compared)
    json.dumps(compared.data(), allow_nan=False)


def test_without_random_there_is_no_comparison():
    with pytest.raises(BadRequest, match="no student of random"):
        compare("t", [student("zip", 0, 0.5)], [ACCURACY])
    with pytest.raises(BadRequest, match="200 rows"):
        compare("t", [*randoms(), student("zip", 0, 0.5, budget="200 rows")], [ACCURACY])
    with pytest.raises(BadRequest, match="seed 0 is given twice"):
        compare("t", [*randoms(), student("zip", 0, 0.5), student("zip", 0, 0.6)], [ACCURACY])


def test_names_are_shown_as_they_are_and_end_no_cell():
    name = "<script>x</script>|$\\alpha$ 한국어"
    compared = compare(name, [*randoms(), student(name, 0, 0.8)], [ACCURACY], facts={"<b>": name})
    html = comparison_page(compared)
    read = Reader(html)
    assert not {"script", "img", "link"} & set(read.tags)
    assert name in read.texts["td"]
    assert name in read.texts["text"]
    rows = [line for line in comparison_table(compared).splitlines() if line.startswith("| ")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    assert "<script>" not in comparison_table(compared)
