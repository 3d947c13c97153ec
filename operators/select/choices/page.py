"""The page on which people compare what selectors chose. One file without scripts that loads nothing."""

import json
import math
from collections.abc import Iterator
from typing import Any

from operators.page import Markup, document, fold, shown, table
from operators.select.choices.base import ChoicesReport, Pick
from operators.select.choices.plots import length_picture, score_picture
from operators.select.choices.report import POOL

MOST_SOURCES = 15  # that a table lists
LONG = 600  # characters of a text that are shown before it is folded
MOST = 20_000  # characters of a text on the page at all

STYLE = """
.few { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem }
.few svg { width: 100% }
.wide th { vertical-align: bottom }
.wide tr > :first-child { position: sticky; left: 0; background: Canvas }
.wide.overlap tr > * { text-align: center; padding: .25rem .4rem; min-width: 3.2rem }
.wide.overlap tr > * { width: 3.5rem; font-size: .85rem }
.wide.overlap tr > :first-child { text-align: left; min-width: 6rem }
.wide.measures tr > :nth-child(2) { text-align: right }
td small { opacity: .75; white-space: nowrap }
details { margin: .4rem 0 }
summary { cursor: pointer }
details pre { margin: .4rem 0 }
code { overflow-wrap: anywhere }
"""


def page(report: ChoicesReport) -> str:
    """Write the page in HTML. Every text that comes from outside is escaped."""
    parts = [*_opening(report), *_selectors(report), *_overlap(report), *_lengths(report)]
    parts += [*_scores(report), *_diversity(report), *_sources(report), *_picks(report), *_records(report)]
    return document(report.title, parts, STYLE)


def _opening(report: ChoicesReport) -> Iterator[str]:
    rows, seen, sample = report.pool["rows"], report.pool["rows_seen"], report.config.sample
    of_pool = "all of them" if seen == rows else f"a sample of {seen:,} of them"
    yield (
        f"<p>{rows:,} rows in the pool, {len(report.choices)} choices. Counts of the pool are of {of_pool}; counts of choices "
        f"are of all chosen rows. Compression, distinct words and embeddings are of seeded samples (seed {report.config.seed}): "
        f"at most {sample:,} rows of each choice and {2 * sample:,} of the pool.</p>"
    )
    if report.facts:
        yield table(("made with", ""), [(name, _value(value)) for name, value in report.facts.items()])


def _selectors(report: ChoicesReport) -> Iterator[str]:
    yield "<h2>Choices</h2>"
    columns = ["choice", "rows", "budget", "unique ids", "prompt tokens", "answer tokens", "equal content", "excluded"]
    yield table(columns, (_choice(row) for row in [report.pool, *report.choices]), "measures")
    yield (
        "<p>Equal content: rows whose text an earlier row of the same choice has. Excluded: rows of the pool that could not "
        "be chosen, by reason.</p>"
    )


def _choice(row: dict[str, Any]) -> list[str]:
    excluded = ", ".join(f"{reason} {count:,}" for reason, count in row.get("excluded", {}).items()) or "–"
    numbers = ("budget_rows", "unique_ids", "prompt_tokens", "answer_tokens", "equal_content_rows")
    return [row["label"], f"{row['rows']:,}", *(_number(row.get(name)) for name in numbers), excluded]


def _overlap(report: ChoicesReport) -> Iterator[str]:
    labels = [row["label"] for row in report.choices]
    if len(labels) < 2:
        return
    yield "<h2>Overlap</h2>"
    yield (
        "<p>Jaccard index of two choices: rows in both by rows in either. Below it, how many times as many rows they share "
        "as a random choice of equal size would (× chance).</p>"
    )
    cells = {}
    for pair in report.pairs:
        cells[pair["one"], pair["other"]] = cells[pair["other"], pair["one"]] = _pair(pair)
    rows = [[one, *(cells.get((one, other), "–") for other in labels)] for one in labels]
    yield table(["", *labels], rows, "overlap")


def _pair(pair: dict[str, Any]) -> str:
    if pair["jaccard"] is None:
        return "–"
    chance = pair["shared_by_chance"]
    times = f"× {pair['shared'] / chance:.1f}" if chance else ""
    title = f"{pair['shared']:,} shared, {chance:,.1f} by chance (index {pair['jaccard_by_chance'] or 0:.3f})"
    colour = f"rgba(63, 143, 210, {0.05 + 0.75 * pair['jaccard']:.2f})"
    return Markup(
        f'<div style="background:{colour}" title="{title}">{pair["jaccard"]:.3f}<br><small>{times}</small></div>'
    )


def _lengths(report: ChoicesReport) -> Iterator[str]:
    rows = [row for row in [report.pool, *report.choices] if "answer_tokens_mean" in row]
    if not rows:
        return
    yield "<h2>Length of answers</h2>"
    mean = report.pool.get("answer_tokens_mean")
    lines = []
    for row in rows:
        shift = f"{row['answer_tokens_mean'] / mean - 1:+.0%}" if mean and row is not report.pool else "–"
        quartiles = (f"{each:,.1f}" for each in row["answer_tokens_quartiles"])
        lines.append([row["label"], f"{row['answer_tokens_mean']:,.1f}", shift, *quartiles])
    yield table(
        ["choice", "mean tokens", "against the pool", "lower quartile", "median", "upper quartile"], lines, "measures"
    )
    yield f'<div class="few">{"".join(_figure(length_picture(each)) for each in report.lengths)}</div>'


def _scores(report: ChoicesReport) -> Iterator[str]:
    if report.scores:
        yield "<h2>Scores</h2><p>Share of rows by score. The line is the pool, where its scores are known.</p>"
        yield f'<div class="few">{"".join(_figure(score_picture(each)) for each in report.scores)}</div>'


def _diversity(report: ChoicesReport) -> Iterator[str]:
    yield "<h2>Diversity and coverage</h2>"
    embedded = any("embedded_rows" in row for row in report.choices)
    clustered = any("clusters_hit" in row for row in report.choices)
    columns = ["choice", "compression", "distinct words", "distinct pairs"]
    columns += ["clusters hit"] * clustered + ["pairwise distance", "nearest distance"] * embedded
    lines = []
    for row in [report.pool, *report.choices]:
        line = [row["label"], *(_against(row, name) for name in ("compression_ratio", "distinct_1", "distinct_2"))]
        line += [_chance(row, "clusters_hit", "{:.0%}")] * clustered
        line += [_decimal(row.get("pairwise_distance")), _chance(row, "nearest_distance", "{:.3f}")] * embedded
        lines.append(line)
    yield table(columns, lines, "measures")
    sizes = sorted({row["words"] for row in report.choices})
    words = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    yield (
        "<p>Small print: the same of as much text of the pool, or of as many random rows. Compression: bytes before by bytes "
        f"after zlib, at most {report.config.bytes:,} bytes; low where little repeats. Distinct words and pairs of words: share "
        f"of different ones among {words} words. "
    )
    if clustered:
        counts = sorted({row["clusters"] for row in report.choices if "clusters" in row})
        yield f"Clusters: {', '.join(map(str, counts))} in the pool; more rows hit more of them by chance alone. "
    if embedded:
        yield (
            "Pairwise distance: 1 - cosine of two rows, high where rows differ. Nearest distance: 1 - cosine of a pool row "
            "that was not chosen to the nearest chosen row of the sample, low where the choice covers the pool."
        )
    else:
        yield "No embeddings were given, so there are no distances."
    yield "</p>"


def _against(row: dict[str, Any], name: str) -> str:
    return _with(_decimal(row.get(name)), _decimal(row[f"pool_{name}"]) if f"pool_{name}" in row else None)


def _chance(row: dict[str, Any], name: str, form: str) -> str:
    shown, by_chance = (
        None if row.get(each) is None else form.format(row[each]) for each in (name, f"{name}_by_chance")
    )
    return _with(shown or "–", by_chance)


def _with(value: str, small: str | None) -> str:
    return value if small is None else Markup(f"{value} <small>({small})</small>")


def _sources(report: ChoicesReport) -> Iterator[str]:
    if not report.sources:
        return
    labels = [POOL, *(row["label"] for row in report.choices)]
    shown, rest = report.sources[:MOST_SOURCES], report.sources[MOST_SOURCES:]
    rows = [[row["source"], *(f"{row[label]:.1%}" for label in labels)] for row in shown]
    if rest:
        rows.append([f"{len(rest):,} others", *(f"{sum(row[label] for row in rest):.1%}" for label in labels)])
    yield "<h2>Sources</h2>" + table(["source", *labels], rows, "measures")


def _picks(report: ChoicesReport) -> Iterator[str]:
    if any(report.picks.values()):
        yield f"<h2>First picks</h2><p>At most {report.config.shown} of each choice.</p>"
    for label, picks in report.picks.items():
        if picks:
            yield fold(f"{label}: {len(picks)}", "".join(_pick(pick) for pick in picks))


def _pick(pick: Pick) -> str:
    score = "" if pick.score is None or not math.isfinite(pick.score) else f", score {pick.score:.4g}"
    source = "" if pick.source is None else f", {pick.source}"
    title = f"pick {pick.pick}: row {pick.position:,}, id {pick.id}{source}{score}"
    text = pick.text if len(pick.text) <= MOST else f"{pick.text[:MOST]} …"
    if len(text) <= LONG:
        return f"<p>{shown(title)}</p><pre>{shown(text)}</pre>"
    whole = fold(f"all of it, {len(pick.text):,} characters", f"<pre>{shown(text)}</pre>")
    return f"<p>{shown(title)}</p><pre>{shown(text[:LONG])} …</pre>{whole}"


def _records(report: ChoicesReport) -> Iterator[str]:
    yield "<h2>Settings and notes</h2>"
    for row in report.choices:
        lines = [
            (f"{kind}.{name}", _value(value)) for kind in ("settings", "notes") for name, value in row[kind].items()
        ]
        if lines:
            yield fold(row["label"], table(("name", "value"), lines))


def _figure(picture: str) -> str:
    return f"<figure>{picture}</figure>"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
