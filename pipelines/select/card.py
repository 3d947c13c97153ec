"""What `select` tells people of an artifact."""

from pipelines.choose.card import COLUMNS as CHOSEN_COLUMNS
from pipelines.counts import Counts
from pipelines.select.report import PAGE

COLUMNS = f"Each folder of `data/` is what one selector chose. {CHOSEN_COLUMNS}"


def facts(run: dict, counts: Counts) -> list[tuple[str, str]]:
    """Give the totals that matter, as words."""
    chosen = counts.get("kept", {})
    return [*((label, f"{rows:,} rows") for label, rows in chosen.items()), ("page", PAGE)]
