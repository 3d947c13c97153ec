"""What `measure` tells people of an artifact."""

from pipelines.counts import Counts
from pipelines.run.card import words_of

COLUMNS = "Arrow files, aligned to those of the pool by `id`: what was measured, or the `reason` why it could not be."


def facts(run: dict, counts: Counts) -> list[tuple[str, str]]:
    """Give the totals that matter, as words."""
    return [
        ("feature", run["config"]["feature"]),
        ("rows", f"{counts.get('kept', {}).get('rows', 0):,}"),
        ("of which something is missing", words_of(counts.get("unmeasured", {}))),
    ]
