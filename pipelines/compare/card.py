"""What `compare` tells people of an artifact."""

from pipelines.counts import Counts

PAGE, TABLE, NUMBERS = "report.html", "comparison.md", "comparison.json"


COLUMNS = "`data/` has a row for each student: what it was trained on and what its evaluation gave. `report.html` compares them."


def facts(run: dict, counts: Counts) -> list[tuple[str, str]]:
    """Give the totals that matter, as words."""
    students = f"{counts.get('kept', {}).get('students', 0):,} of {len(run['splits']):,}"
    return [("students", students), ("page", PAGE), ("table", TABLE)]
