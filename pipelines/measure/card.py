"""What `measure` tells people of an artifact."""

from pipelines.counts import Counts
from pipelines.run.card import Card, Facts, words_of


class MeasureCard(Card):
    tag = "measure"
    data_files = "data/*.arrow"
    columns = (
        "Arrow files, aligned to those of the pool by `id`: what was measured, or the `reason` why it could not be."
    )

    def what(self, recipe: dict) -> str:
        return "What was measured of the rows of a pool, made by `gristmill run select`."

    def facts(self, recipe: dict, counts: Counts) -> Facts:
        return [
            ("feature", recipe["config"]["feature"]),
            ("rows", f"{counts.get('kept', {}).get('rows', 0):,}"),
            ("of which something is missing", words_of(counts.get("unmeasured", {}))),
        ]
