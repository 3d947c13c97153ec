"""A comparison of students as a page with plots, and as a table in Markdown."""

import json
from collections.abc import Iterator
from html import escape

from operators.page import OF_THE_TEXT, PALETTE, Markup, document, drawing, plain, shown, table, written
from operators.select.comparison.statistics import ADVISED, LEAST, LEVEL, REFERENCE, Comparison, Metric, Standing

COLUMNS = ["method", "verdict", "mean", "sd", "to random", "in sd of random", "p", "Holm p"]
COLUMNS += ["runs", "rows", "tokens trained", "× random"]
STYLE = """
.wide th { vertical-align: bottom }
.wide tr > :first-child { position: sticky; left: 0; background: Canvas }
.wide tr > :nth-child(2) { min-width: 9rem }
figure svg { max-width: 34rem; width: 100% }
.warning { border-left: .3rem solid #e0a100; padding-left: .6rem }
"""


def comparison_page(comparison: Comparison) -> str:
    """Write the page in HTML. Every text that comes from outside is escaped."""
    parts = [f"<p>{shown(_summary(comparison))}</p>"]
    parts += [f'<p class="warning">{shown(warning)}</p>' for warning in _warnings(comparison)]
    for metric, budget, lines in _groups(comparison):
        parts.append(f"<h2>{shown(_heading(metric, budget))}</h2>")
        parts.append(table(COLUMNS, (_bold(_cells(line, lines[0]), line) for line in lines)))
        parts.append(f"<figure>{_picture(metric, lines, comparison.half_widths[metric.name, budget])}</figure>")
    parts += ["<h2>How to read this</h2>", *(f"<p>{shown(note)}</p>" for note in _notes(comparison))]
    if comparison.facts:
        facts = [
            (name, value if isinstance(value, str) else json.dumps(value)) for name, value in comparison.facts.items()
        ]
        parts += ["<h2>Made with</h2>", table(("name", "value"), facts)]
    return document(comparison.title, parts, STYLE)


def comparison_table(comparison: Comparison) -> str:
    """Write the same table, summary and notes in Markdown."""
    parts = [f"# {_cell(comparison.title)}", _summary(comparison), *_warnings(comparison)]
    for metric, budget, lines in _groups(comparison):
        rows = [
            COLUMNS,
            ["---", "---", *["---:"] * (len(COLUMNS) - 2)],
            *(_cells(line, lines[0]) for line in lines),
        ]
        parts.append(f"## {_cell(_heading(metric, budget))}")
        parts.append("\n".join(f"| {' | '.join(map(_cell, row))} |" for row in rows))
    return "\n\n".join([*parts, *_notes(comparison)]) + "\n"


def _groups(comparison: Comparison) -> Iterator[tuple[Metric, str, list[Standing]]]:
    """Give the lines of each metric and budget; random comes first."""
    for metric in comparison.metrics:
        of_metric = [line for line in comparison.lines if line.metric == metric.name]
        for budget in dict.fromkeys(line.budget for line in of_metric):
            yield metric, budget, [line for line in of_metric if line.budget == budget]


def _heading(metric: Metric, budget: str) -> str:
    best = "higher is better" if metric.higher_is_better else "lower is better"
    return f"{metric.name} ({best}){f', {budget}' if budget else ''}"


def _cells(line: Standing, random: Standing) -> list[str]:
    runs = f"{line.runs}" + (f" ({line.missing} lost)" if line.missing else "")
    trained = [runs, f"{line.rows:,.0f}", f"{line.tokens:,.0f}"]
    trained.append(f"{line.tokens / random.tokens:.2f}" if random.tokens else "–")
    if line is random:
        return [line.method, "", _number(line.mean, 3), _number(line.sd, 3), *[""] * 4, *trained]
    told = [_number(line.mean, 3), _number(line.sd, 3), _signed(line.difference, 3), _signed(line.in_sd, 1)]
    return [line.method, _verdict(line), *told, _number(line.p, 4), _number(line.holm, 4), *trained]


def _verdict(line: Standing) -> str:
    return line.verdict if line.verdict_holm in ("", line.verdict) else f"{line.verdict}, but not after Holm"


def _bold(cells: list[str], line: Standing) -> list[str]:
    """Set a verdict that stands after Holm's correction in bold."""
    stands = line.holm is not None and line.holm < LEVEL
    return [cells[0], Markup(f"<b>{escape(cells[1])}</b>"), *cells[2:]] if stands else cells


def _picture(metric: Metric, lines: list[Standing], half_width: float | None) -> str:
    """Draw every method against the mean of random, and the interval for one more random run as a band."""
    random, drawn = lines[0], [line for line in lines if line.mean is not None]
    with drawing(5.2, 0.9 + 0.32 * max(1, len(drawn))) as figure:
        axes = figure.add_subplot()
        if random.mean is not None:
            axes.axvline(random.mean, color=OF_THE_TEXT, linewidth=1, linestyle=":")
            if half_width is not None:
                axes.axvspan(
                    random.mean - half_width, random.mean + half_width, color="#888888", alpha=0.2, linewidth=0
                )
        for place, line in enumerate(drawn):
            colour = OF_THE_TEXT if line is random or line.verdict == REFERENCE else PALETTE[0]
            axes.plot(line.values, [place] * len(line.values), "|", color=colour, alpha=0.5)
            axes.errorbar(line.mean, place, xerr=line.sd, fmt="o", color=colour, capsize=3)
        axes.set_yticks(range(len(drawn)), [plain(line.method) for line in drawn])
        axes.set_ylim(len(drawn) - 0.5, -0.5)
        axes.set_xlabel(plain(metric.name) + (", points" if metric.scale == 100 else ""))
        return written(figure)


def _summary(comparison: Comparison) -> str:
    compared = [line for line in comparison.lines if line.p is not None]
    outcomes = [f"{sum(line.verdict == each for line in compared)} {each}" for each in ("better", "worse")]
    after = [f"{sum(line.verdict_holm == each for line in compared)} {each}" for each in ("better", "worse")]
    within = sum(line.verdict not in ("better", "worse") for line in compared)
    return (
        f"{comparison.comparisons} comparisons with the mean of {comparison.baseline}: {', '.join(outcomes)}, {within} within "
        f"its spread. With a correction for their number (Holm): {', '.join(after)}. Of {comparison.comparisons} comparisons "
        f"without any real difference about {LEVEL * comparison.comparisons:.1f} would be called better or worse."
    )


def _warnings(comparison: Comparison) -> Iterator[str]:
    random = [line for line in comparison.lines if line.method == comparison.baseline]
    fewest = min(line.runs for line in random)
    if fewest < LEAST:
        yield f"{fewest} runs of {comparison.baseline} are too few to know its spread: at least {LEAST}, better {ADVISED}."
    elif fewest < ADVISED:
        yield f"Only {fewest} runs of {comparison.baseline}: its spread is known badly, {ADVISED} are advised."
    lost = sum(line.missing for line in comparison.lines)
    if lost:
        yield f"Values that are missing or no number: {lost}. They are left out of the means, and shown under runs as lost."


def _notes(comparison: Comparison) -> Iterator[str]:
    random = comparison.baseline
    yield (
        f"Mean and sd (with n - 1) are of all runs with different seeds; {random} is never represented by its best run. "
        "Dots are means, bars one sd, strokes single runs, and the grey band is where one more random run would be in 95% of "
        "cases."
    )
    yield (
        f"Rule for a method with one run x: it is better or worse if |x - mean| > t(n - 1, 0.975) · sd · sqrt(1 + 1/n), with the "
        f"mean and sd of n runs of {random}; else it is within the spread of random. A method with several runs is judged by "
        "Welch's t-test, which takes its own spread into account. Both suppose that runs scatter about normally."
    )
    yield (
        f"p is the two-sided chance of so large a difference where there is none. Holm p is p corrected for all "
        f"{comparison.comparisons} comparisons of this page: a verdict that does not hold after it may well be luck."
    )
    yield (
        "Within the spread does not mean equal: with few runs only large differences can be seen. The spread is that of choices "
        "and seeds on this evaluation set; another set may rank the methods otherwise. Compare the tokens trained too: a "
        "selector of long rows trains on more of them with as many rows."
    )


def _number(value: float | None, places: int) -> str:
    return "–" if value is None else f"{value:.{places}f}"


def _signed(value: float | None, places: int) -> str:
    return "–" if value is None else f"{value:+.{places}f}"


def _cell(text: str) -> str:
    """Keep a text from ending its cell or being read as HTML."""
    return escape(" ".join(text.split()), quote=False).replace("\\", "\\\\").replace("|", "\\|")
