"""What `select` tells people of an artifact."""

from pipelines.choose.card import ChoiceCard
from pipelines.counts import Counts
from pipelines.run.card import Card, Facts
from pipelines.select.report import PAGE, label_of


class SelectionCard(Card):
    tag = "selection"
    columns = f"Each folder of `data/` is what one selector chose. {ChoiceCard.columns}"

    def what(self, recipe: dict) -> str:
        return "Training data chosen by several selectors, made with `gristmill run select`."

    def data_sets(self, recipe: dict) -> dict[str, str]:
        return {label: f"data/{label}/*.parquet" for label in map(label_of, recipe["splits"])}

    def facts(self, recipe: dict, counts: Counts) -> Facts:
        chosen = counts.get("kept", {})
        return [*((label, f"{rows:,} rows") for label, rows in chosen.items()), ("page", PAGE)]
