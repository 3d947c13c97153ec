"""What `rephrase` tells people of an artifact: what became of each style, and why."""

from operators.table import ORIGINAL
from pipelines.counts import Counts
from pipelines.rephrase.rows import REASONS
from pipelines.run.card import Card, Facts, read_of, table_of

README = """---
configs:
- config_name: default
  data_files: data/*.parquet
- config_name: rejected
  data_files: rejected/*.parquet
tags: [synthetic, rephrased, gristmill]
---
# {title}

{what}

| what | |
|---|---|
{facts}

{styles}

Columns of `data/`: `id`, `document_id`, `chunk_index`, `style` (`original` is real text, whole documents), `text`,
`source_text` (what a rewrite was made from), `model`, `prompt_tokens`, `completion_tokens`, `finish_reason`, `similarity`
(cosine of sentence embeddings, null where not computed), `metadata` (the input's other columns as JSON).
`rejected/` holds every row that left, with `stage`, `reason` and `detail`. `_gristmill/` holds the records of the run.
"""

RULES = ("chunk", "fan_out", "clean", "faithful", "mix")  # stages whose reasons are settings
HEAD = ("style", "kept", "rejected", "prompt tokens", "from cache", "written", "why rejected")


def by_style(counts: Counts) -> list[tuple[str, ...]]:
    """Give the cells of HEAD for each style; the reasons stand with their counts, the most frequent first."""
    kept, rejected, paid = (counts.get(key, {}) for key in ("kept", "rejected", "paid"))
    rows = []
    for style in sorted(kept.keys() | rejected.keys(), key=lambda name: (name in ("document", "original"), name)):
        reasons = sorted(rejected.get(style, {}).items(), key=lambda item: -item[1])
        words = ", ".join(f"{reason} {count:,}" for reason, count in reasons)
        numbers = [kept.get(style, 0), sum(count for _, count in reasons)]
        numbers += [paid.get(style, {}).get(kind, 0) for kind in ("prompt", "cached", "completion")]
        rows.append((style, *(f"{number:,}" for number in numbers), words))
    return rows


class RephraseCard(Card):
    """A table of styles stands beside the facts."""

    surplus = frozenset({"mix/surplus"})

    def what(self, recipe: dict) -> str:
        return "Real and rephrased text, made with `gristmill run rephrase`."

    def facts(self, recipe: dict, counts: Counts) -> Facts:
        tokens = counts.get("tokens", {})
        repaired = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.get("repaired", {}).items()))
        return [
            *read_of({"documents": 0} | counts),
            ("tokens kept", f"{tokens.get('real', 0):,} real, {tokens.get('synthetic', 0):,} synthetic"),
            ("repaired", repaired or "none"),
        ]

    def made(self, counts: Counts) -> int:
        return sum(rows for style, rows in counts.get("kept", {}).items() if style != ORIGINAL)

    def is_a_rule(self, reason: str) -> bool:
        return reason.partition("/")[0] in RULES and not REASONS.is_unanswered(reason)

    def readme(self, recipe: dict, counts: Counts, title: str) -> str:
        lines = [HEAD, ("---", *["---:"] * (len(HEAD) - 2), "---"), *by_style(counts)]
        return README.format(
            title=title,
            what=self.what(recipe),
            facts=table_of(self.facts(recipe, counts)),
            styles="\n".join(f"| {' | '.join(cells)} |" for cells in lines),
        )

    def show(self, recipe: dict, counts: Counts, title: str | None) -> None:
        from rich.console import Console
        from rich.table import Table

        console = Console()
        table = Table(*HEAD[:-1])
        for column in table.columns[1:]:
            column.justify = "right"
        rows = by_style(counts)
        for cells in rows:
            table.add_row(*cells[:-1])
        if title:
            console.print(title, highlight=False, style="bold", soft_wrap=True)  # a path is one word, however long
        console.print(table)
        for style, *_, reasons in rows:
            if reasons:
                console.print(f"{style} rejected: {reasons}", highlight=False, soft_wrap=True)
        for name, value in self.facts(recipe, counts):
            console.print(f"{name}: {value}", highlight=False, soft_wrap=True)
