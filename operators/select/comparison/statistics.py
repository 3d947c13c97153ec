"""Is a selector better than random? Each student against the mean and the spread of students on random rows.

A student is compared with random choices of its own budget alone, and never with the best of them.
Shapes: n runs of random, k of a method.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import fmean, stdev
from typing import Any

from operators.errors import BadRequest
from operators.select.choices.base import DEFAULT, label

LEAST = 3  # random runs for a spread to say anything
ADVISED = 5
LEVEL = 0.05  # chance of a verdict where there is no difference
BETTER, WORSE, WITHIN = "better", "worse", "within the spread of random"
TOO_FEW, NO_SPREAD, REFERENCE = "too few random runs", "random runs are all equal", "not compared"


@dataclass(frozen=True)
class Metric:
    """A number of an evaluation. `scale` makes points of it: 100 for shares such as accuracy, 1 for losses in nats."""

    name: str
    higher_is_better: bool = True
    scale: float = 1.0


@dataclass(frozen=True)
class TrainedStudent:
    """One training run on one choice: its rows, the tokens trained on, and what its evaluation gave.

    Students of one `budget` (any text) are compared. A `reference` (all data, an untrained model) is shown and not judged.
    """

    selector: str
    seed: int
    rows: int
    tokens: int
    metrics: dict[str, float | None]
    variant: str = DEFAULT
    budget: str = ""
    reference: bool = False

    @property
    def label(self) -> str:
        return label(self.selector, self.variant)


@dataclass(frozen=True)
class Standing:
    """A method on one metric and budget, in points. What cannot be told is None; `sd` is with n - 1.

    `difference` is to the mean of random, `in_sd` in standard deviations of random; `better` is positive where the method is
    better, whatever the metric's direction. `p` is two-sided, `holm` the same after Holm's correction for all `p` there are.
    """

    metric: str
    budget: str
    method: str
    runs: int
    missing: int
    rows: float
    tokens: float
    values: list[float]
    mean: float | None = None
    sd: float | None = None
    difference: float | None = None
    in_sd: float | None = None
    better: float | None = None
    p: float | None = None
    holm: float | None = None
    verdict: str = ""
    verdict_holm: str = ""


@dataclass(frozen=True)
class Comparison:
    """All lines, those of random (`baseline`) first in each metric and budget; `half_widths` of its prediction interval."""

    title: str
    baseline: str
    metrics: list[Metric]
    lines: list[Standing]
    comparisons: int
    half_widths: dict[tuple[str, str], float | None]
    facts: dict[str, Any] = field(default_factory=dict)

    def data(self) -> dict[str, Any]:
        """Give the table as JSON values."""
        names = ("title", "baseline", "comparisons", "facts")
        tables = {"metrics": [asdict(each) for each in self.metrics], "lines": [asdict(each) for each in self.lines]}
        return {name: getattr(self, name) for name in names} | {"level": LEVEL} | tables


def compare(
    title: str,
    students: Sequence[TrainedStudent],
    metrics: Sequence[Metric],
    baseline: str = "random",
    facts: dict[str, Any] | None = None,
) -> Comparison:
    """Compare every method with random, on every metric.

    A method with one run differs if it is outside the interval in which one more random run would be in 95% of cases,
    mean ± t(n - 1, 0.975) sd sqrt(1 + 1/n). A method with several runs is compared by its own spread too (Welch's t-test).
    Raises BadRequest where students of random are missing for a budget, or one run is given twice.
    """
    _check(students, baseline)
    lines, half_widths = [], {}
    for metric in metrics:
        for budget in dict.fromkeys(student.budget for student in students):
            of_budget = [student for student in students if student.budget == budget]
            methods = dict.fromkeys([baseline, *(student.label for student in of_budget)])
            runs = {method: [each for each in of_budget if each.label == method] for method in methods}
            random = _line(metric, runs[baseline])
            half_widths[metric.name, budget] = half_width(random)
            lines.append(random)
            for method, of_method in runs.items():
                if method != baseline:
                    lines.append(_judged(_line(metric, of_method), random, metric, of_method[0].reference))
    lines = list(_corrected(lines))
    compared = sum(line.p is not None for line in lines)
    return Comparison(title, baseline, list(metrics), lines, compared, half_widths, dict(facts or {}))


def half_width(random: Standing) -> float | None:
    """Give half the width of the interval for one more random run; None with too few runs or without spread."""
    from scipy.stats import t

    if random.runs < LEAST or not random.sd:
        return None
    return float(t.ppf(1 - LEVEL / 2, random.runs - 1)) * random.sd * math.sqrt(1 + 1 / random.runs)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values so that the chance of even one false finding among all stays at the level. Source: Holm, 1979."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def _line(metric: Metric, runs: list[TrainedStudent]) -> Standing:
    found = [student.metrics.get(metric.name) for student in runs]
    values = [value * metric.scale for value in found if value is not None and math.isfinite(value)]
    rows, tokens = (fmean(getattr(student, name) for student in runs) for name in ("rows", "tokens"))
    line = Standing(
        metric.name, runs[0].budget, runs[0].label, len(values), len(found) - len(values), rows, tokens, values
    )
    if not values:
        return line
    return replace(line, mean=fmean(values), sd=stdev(values) if len(values) > 1 else None)


def _judged(line: Standing, random: Standing, metric: Metric, reference: bool) -> Standing:
    if line.mean is None or random.mean is None:
        return replace(line, verdict=REFERENCE)
    difference = line.mean - random.mean
    better = difference if metric.higher_is_better else -difference
    line = replace(line, difference=difference, better=better, in_sd=difference / random.sd if random.sd else None)
    if reference:
        return replace(line, verdict=REFERENCE)
    if random.runs < LEAST:
        return replace(line, verdict=TOO_FEW)
    if not random.sd:
        return replace(line, verdict=NO_SPREAD)
    p = _p(line, random)
    return replace(line, p=p, verdict=_verdict(p, better))


def _p(line: Standing, random: Standing) -> float:
    from scipy.stats import t

    of_random = random.sd**2 / random.runs
    if line.runs == 1:
        return 2 * float(t.sf(abs(line.difference) / math.sqrt(random.sd**2 + of_random), random.runs - 1))
    of_line = line.sd**2 / line.runs
    freedom = (of_line + of_random) ** 2 / (of_line**2 / (line.runs - 1) + of_random**2 / (random.runs - 1))
    return 2 * float(t.sf(abs(line.difference) / math.sqrt(of_line + of_random), freedom))


def _verdict(p: float, better: float) -> str:
    if p >= LEVEL:
        return WITHIN
    return BETTER if better > 0 else WORSE


def _corrected(lines: list[Standing]) -> Iterator[Standing]:
    adjusted = iter(holm([line.p for line in lines if line.p is not None]))
    for line in lines:
        if line.p is None:
            yield line
        else:
            of_all = next(adjusted)
            yield replace(line, holm=of_all, verdict_holm=_verdict(of_all, line.better))


def _check(students: Iterable[TrainedStudent], baseline: str) -> None:
    seen, random, budgets = set(), set(), {}
    for student in students:
        run = (student.budget, student.label, student.seed)
        if run in seen:
            raise BadRequest(
                f"{student.label} with seed {student.seed} is given twice. A comparison needs each run once."
            )
        seen.add(run)
        budgets[student.budget] = student.label
        if student.label == baseline:
            random.add(student.budget)
    missing = [f"{budget or 'the students'}" for budget in budgets if budget not in random]
    if missing or not budgets:
        raise BadRequest(
            f"there is no student of {baseline} for {', '.join(missing) or 'any budget'}. Without it nothing can be said of the "
            f"others: train {ADVISED} students on random rows, each with another seed."
        )
