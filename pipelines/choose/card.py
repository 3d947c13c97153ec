"""What `choose` tells people of an artifact."""

from pipelines.counts import Counts
from pipelines.run.card import Card, Facts, words_of


class ChoiceCard(Card):
    tag = "selection"
    columns = (
        "`pick` counts the rows in the order in which they were chosen, `score` is the selector's own; `messages` (with `parts`, "
        "the columns that a question was joined from) or `text` are for training, `record` is the row as it was read."
    )

    def what(self, recipe: dict) -> str:
        return f"Rows chosen by {recipe['config']['selector']}, made with `gristmill run select`."

    def facts(self, recipe: dict, counts: Counts) -> Facts:
        return [
            ("selector", recipe["config"]["selector"]),
            ("chosen", f"{counts.get('kept', {}).get('chosen', 0):,} rows"),
            ("could not be chosen", words_of(counts.get("excluded", {}))),
        ]
