"""What `compare` tells people of an artifact."""

from pipelines.counts import Counts
from pipelines.run.card import Card, Facts

PAGE, TABLE, NUMBERS = "report.html", "comparison.md", "comparison.json"


class ComparisonCard(Card):
    tag = "comparison"
    columns = (
        "`data/` has a row for each student: what it was trained on and what its evaluation gave. `report.html` compares "
        "them."
    )

    def what(self, recipe: dict) -> str:
        return "Students trained on what several selectors chose, compared; made with `gristmill run compare`."

    def facts(self, recipe: dict, counts: Counts) -> Facts:
        students = f"{counts.get('kept', {}).get('students', 0):,} of {len(recipe['splits']):,}"
        return [("students", students), ("page", PAGE), ("table", TABLE)]
