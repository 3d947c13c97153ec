"""What `choose` tells people of an artifact."""

from pipelines.counts import Counts
from pipelines.run.card import words_of

COLUMNS = (
    "`pick` counts the rows in the order in which they were chosen, `score` is the selector's own; `messages` or `text` are for "
    "training, `record` is the row as it was read."
)


def facts(run: dict, counts: Counts) -> list[tuple[str, str]]:
    """Give the totals that matter, as words."""
    return [
        ("selector", run["config"]["selector"]),
        ("chosen", f"{counts.get('kept', {}).get('chosen', 0):,} rows"),
        ("could not be chosen", words_of(counts.get("excluded", {}))),
    ]
