"""What `score` tells people of an artifact."""

from pipelines.counts import Counts
from pipelines.run.card import Card, Facts


class ScoreCard(Card):
    tag = "score"
    data_files = "data/*.arrow"
    columns = (
        "Arrow files, aligned to those of the packed rows by `id` and `checksum` (of a row's tokens). `reference_loss` is "
        "-log P(token | what stands before it) in nats, NaN where nothing is predicted; with several references "
        "there is a column for each, `reference_loss_1` and on."
    )

    def what(self, recipe: dict) -> str:
        return "What reference models make of every token of packed rows, made with `gristmill run score`."

    def facts(self, recipe: dict, counts: Counts) -> Facts:
        window, rows = recipe["fingerprint"]["packing"]["window"], counts.get("kept", {}).get("scored", 0)
        reference = recipe["config"]["reference"]
        return [
            ("references", ", ".join(reference["models"]) or reference["openai"]["model"]),
            ("columns", ", ".join(recipe["fingerprint"]["columns"])),
            ("rows", f"{rows:,} of {window:,} tokens: {rows * window:,} tokens"),
        ]
