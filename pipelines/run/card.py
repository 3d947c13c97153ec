"""The contract of a card: what an artifact tells people, on the screen and in the README.md that stands in it."""

from abc import ABC, abstractmethod
from typing import Any

from operators.storage.base import UNCOUNTED
from pipelines.counts import Counts

Facts = list[tuple[str, str]]  # names and what is said of them, in the order in which they are told

README = """---
configs:
{configs}
tags: [gristmill, {tag}]
---
# {title}

{what}

| what | |
|---|---|
{facts}

{columns} `_gristmill/` holds the records of the run.
"""

OF_UNKNOWN = frozenset(
    f"read/{reason}" for reason in UNCOUNTED
)  # the reasons of rows that stand for more than themselves


class Card(ABC):
    """One for each pipeline. `recipe` is what made the artifact (see Pipeline.recipe), `counts` what became of everything.

    `tag` names the kind of data, `columns` explains the columns, `data_files` says where the data lies. Rows that left for a
    reason in `surplus` were good, and too many.
    """

    tag: str
    columns: str
    data_files = "data/*.parquet"
    surplus: frozenset[str] = frozenset()

    @abstractmethod
    def what(self, recipe: dict[str, Any]) -> str:
        """Say in a sentence what the artifact is."""

    @abstractmethod
    def facts(self, recipe: dict[str, Any], counts: Counts) -> Facts:
        """Give the totals that matter, as words."""

    def left_out(self, recipe: dict[str, Any], counts: Counts) -> Facts:
        """Give what a user should hear even of an artifact that is only a stage's: what was left out of it."""
        return []

    def made(self, counts: Counts) -> int:
        """Count the rows that the pipeline is there to make."""
        return sum(counts.get("kept", {}).values())

    def is_a_rule(self, reason: str) -> bool:
        """Whether STAGE/REASON turns rows down on purpose; where nothing but that left nothing, all is well."""
        return False

    def data_sets(self, recipe: dict[str, Any]) -> dict[str, str]:
        """Name the data sets of the artifact, each with its files."""
        return {"default": self.data_files}

    def readme(self, recipe: dict[str, Any], counts: Counts, title: str) -> str:
        """Write a dataset card with YAML front matter."""
        sets = self.data_sets(recipe)
        return README.format(
            configs="\n".join(f"- config_name: {name}\n  data_files: {files}" for name, files in sets.items()),
            tag=self.tag,
            title=title,
            what=self.what(recipe),
            facts=table_of(self.facts(recipe, counts)),
            columns=self.columns,
        )

    def show(self, recipe: dict[str, Any], counts: Counts, title: str | None) -> None:
        """Print what came out, a fact a line."""
        from rich.console import Console

        console = Console()
        if title:
            console.print(title, highlight=False, style="bold", soft_wrap=True)
        for name, value in self.facts(recipe, counts):
            console.print(f"{name}: {value}", highlight=False, soft_wrap=True)


def table_of(facts: Facts) -> str:
    """Write facts as rows of a Markdown table."""
    return "\n".join(f"| {name} | {value} |" for name, value in facts)


def read_of(counts: Counts) -> Facts:
    """Say how many documents were read, and at how many places of files nobody knows how many were lost."""
    rejected = counts.get("rejected", {}).get("document", {})
    broken = {name: rejected[f"read/{name}"] for name in UNCOUNTED if f"read/{name}" in rejected}
    places = sum(broken.values())
    facts = [("documents read", f"{counts['documents'] - places:,}")] if "documents" in counts else []
    told = f"{places:,} places, named in rejected/ ({words_of(broken)}); it is not known how many documents they held"
    return [*facts, ("could not be read", told)] if places else facts


def unused_of(counts: Counts) -> Facts:
    """Say what records have that no example has a place for."""
    unused = counts.get("unused")
    return [("left out, as no example has a place for it", words_of(unused))] if unused else []


def words_of(reasons: dict[str, int]) -> str:
    """Say how often each reason came, the most frequent first."""
    return (
        ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items(), key=lambda item: -item[1]))
        or "none"
    )
