"""Look at what selectors chose: counts over all rows, and measures of seeded samples. The page of it is in page.py.

Shapes: N rows of the pool, M chosen rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from operators.errors import BadRequest
from operators.select.choices.base import ChoicesReport, Chosen, Histogram, Pick, ReportConfig
from operators.select.choices.coverage import Coverage, Embed, label_coverage, vectors_of
from operators.select.choices.histograms import length_histogram, score_histogram
from operators.select.choices.measures import clipped, compression_ratio, distinct, mean_pairwise_distance, words_of
from operators.select.choices.overlap import pairs
from operators.select.choices.survey import LengthSurvey, Survey

POOL = "pool"
QUARTILES = (0.25, 0.5, 0.75)


def report(
    title: str,
    rows: int,
    pool: Iterable[pa.Table],
    chosen: Sequence[Chosen],
    config: ReportConfig,
    embed: Embed | None = None,
    facts: dict[str, Any] | None = None,
) -> ChoicesReport:
    """Compare choices out of a pool of `rows` rows.

    `pool` streams the pool's rows (or a uniform sample of them: the report says which) as tables with the columns that
    `Chosen.rows` has. `embed` makes embeddings of texts where the tables have none; without both there is no coverage.
    `facts` stand on the page as they are. Raises BadRequest where two choices have one name, or there is none.
    """
    labels = [each.label for each in chosen]
    twice = {label for label in labels if labels.count(label) > 1}
    if twice or not labels:
        raise BadRequest(
            f"a report needs choices with different names, got {', '.join(labels) or 'none'}. Name each selection once."
        )
    whole = Survey(pool, 2 * config.sample, config.seed)
    picks: dict[str, list[Pick]] = {each.label: [] for each in chosen}
    surveys = [Survey(_watched(each, picks[each.label], config.shown), config.sample, config.seed) for each in chosen]
    for each, survey in zip(chosen, surveys, strict=True):
        if survey.rows != len(each.positions_M):
            raise ValueError(f"{each.label}: {len(each.positions_M)} positions, and {survey.rows} rows were given.")
    of_pool = {"label": POOL, "rows": rows, "rows_seen": whole.rows, **_counts(whole)}
    of_chosen = [{**_identity(each, survey), **_counts(survey)} for each, survey in zip(chosen, surveys, strict=True)]
    _add_repetition(of_pool, of_chosen, whole, surveys, config)
    _add_coverage(of_pool, of_chosen, whole, surveys, embed, config)
    return ChoicesReport(
        title,
        dict(facts or {}),
        config,
        of_pool,
        of_chosen,
        pairs(list(chosen), rows),
        _sources(whole, labels, surveys),
        [*_lengths(whole, labels, surveys)],
        [score_histogram(each) for each in chosen if each.scores_M is not None and np.isfinite(each.scores_M).any()],
        picks,
    )


def _watched(chosen: Chosen, picks: list[Pick], shown: int) -> Iterator[pa.Table]:
    """Hand on the rows of a choice and keep the first picks."""
    for table in chosen.rows:
        few = table.select([name for name in ("id", "source", "text") if name in table.column_names])
        for row in few.slice(0, max(0, shown - len(picks))).to_pylist():
            picks.append(_pick(chosen, len(picks), row))
        yield table


def _pick(chosen: Chosen, pick: int, row: dict[str, Any]) -> Pick:
    score = None if chosen.scores_M is None else float(chosen.scores_M[pick])
    source = None if row.get("source") is None else str(row["source"])
    return Pick(pick, int(chosen.positions_M[pick]), row["id"], score, source, row.get("text") or "")


def _identity(chosen: Chosen, survey: Survey) -> dict[str, Any]:
    return {
        "label": chosen.label,
        "selector": chosen.name,
        "variant": chosen.variant,
        "settings": chosen.settings,
        "notes": chosen.notes,
        "rows": survey.rows,
        "budget_rows": chosen.budget,
        "unique_ids": survey.unique_ids,
        "excluded": chosen.excluded,
    }


def _counts(survey: Survey) -> dict[str, Any]:
    out: dict[str, Any] = {"equal_content_rows": survey.equal_rows}
    for name, lengths in sorted(survey.lengths.items()):
        out[name] = lengths.tokens
        if lengths.rows:
            out[f"{name}_mean"] = lengths.mean
            out[f"{name}_quartiles"] = [lengths.quantile(share) for share in QUARTILES]
    return out


def _add_repetition(
    of_pool: dict, of_chosen: list[dict], whole: Survey, surveys: list[Survey], config: ReportConfig
) -> None:
    """Add compression and distinct words of each choice, and of as much text of the pool."""
    pool_texts = whole.texts()
    pool_bytes, pool_words = clipped(pool_texts, config.bytes), words_of(pool_texts, config.words)
    of_pool.update(_repetition(pool_bytes, pool_words, config.bytes, config.words))
    for row, survey in zip(of_chosen, surveys, strict=True):
        texts = survey.texts()
        text, words = clipped(texts, config.bytes), words_of(texts, config.words)
        size, count = min(len(text), len(pool_bytes)), min(_total(words), _total(pool_words))
        row.update(_repetition(text, words, size, count))
        of_equal = _repetition(pool_bytes, pool_words, size, count)
        row.update(
            {f"pool_{name}": value for name, value in of_equal.items() if name.startswith(("compr", "distinct"))}
        )


def _repetition(text: bytes, words: list[list[str]], size: int, count: int) -> dict[str, Any]:
    return {
        "compressed_bytes": len(text[:size]),
        "compression_ratio": compression_ratio(text[:size]),
        "words": min(count, _total(words)),
        "distinct_1": distinct(words, 1, count),
        "distinct_2": distinct(words, 2, count),
    }


def _total(words: list[list[str]]) -> int:
    return sum(map(len, words))


def _add_coverage(
    of_pool: dict,
    of_chosen: list[dict],
    whole: Survey,
    surveys: list[Survey],
    embed: Embed | None,
    config: ReportConfig,
) -> None:
    vectors = vectors_of([whole, *surveys], embed)
    if vectors is not None:
        coverage = Coverage(vectors[0], config.clusters, config.seed)
        of_pool["pairwise_distance"] = mean_pairwise_distance(vectors[0].vectors_ME)
        for row, survey, of_survey in zip(of_chosen, surveys, vectors[1:], strict=True):
            row.update(coverage.of(of_survey, survey))
    if whole.named.get("cluster"):
        for row, survey in zip(of_chosen, surveys, strict=True):
            row.update(label_coverage(whole, survey, of_pool["rows"]))


def _sources(whole: Survey, labels: list[str], surveys: list[Survey]) -> list[dict[str, Any]]:
    """Give the share of each source in the pool and in every choice, largest first."""
    in_pool = whole.named.get("source")
    if not in_pool:
        return []
    counts = {POOL: in_pool} | {
        label: survey.named.get("source", {}) for label, survey in zip(labels, surveys, strict=True)
    }
    totals = {label: max(1, sum(each.values())) for label, each in counts.items()}
    return [
        {"source": str(source)} | {label: each.get(source, 0) / totals[label] for label, each in counts.items()}
        for source, _ in in_pool.most_common()
    ]


def _lengths(whole: Survey, labels: list[str], surveys: list[Survey]) -> Iterator[Histogram]:
    of_pool = whole.lengths.get("answer_tokens", LengthSurvey())
    for label, survey in zip(labels, surveys, strict=True):
        lengths = survey.lengths.get("answer_tokens")
        if lengths is not None and lengths.rows:
            yield length_histogram(label, lengths, of_pool)
