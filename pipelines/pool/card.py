"""What `pool` tells people of an artifact."""

from pipelines.counts import Counts
from pipelines.run.card import words_of

COLUMNS = "`record` is the row as it was read (JSON), `content` a digest of what is said in it, `place` where its file has it."


def facts(run: dict, counts: Counts) -> list[tuple[str, str]]:
    """Give the totals that matter, as words."""
    return [
        ("examples", f"{counts.get('kept', {}).get('examples', 0):,}"),
        ("rejected", words_of(counts.get("rejected", {}).get("document", {}))),
    ]
