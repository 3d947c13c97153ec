"""What `dynamics` tells people of an artifact."""

from pipelines.counts import Counts
from pipelines.run.card import Card, Facts

PAGE = "report.html"


class DynamicsCard(Card):
    tag = "dynamics"
    data_files = "data/*.arrow"
    columns = (
        "Arrow files, aligned to those of the packed rows by `id`. `class` is an index of H→H, L→H, H→L, L→L, or -1 where there "
        "is no prediction; `change` in nats from the fitted first loss to the fitted last one; `variance` around the fitted "
        "line. `report.html` shows shares, curves and texts; `losses/` has the loss of every token at every checkpoint."
    )

    def what(self, recipe: dict) -> str:
        return "How the loss of each token moved over the checkpoints of a training run, made with `gristmill run dynamics`."

    def facts(self, recipe: dict, counts: Counts) -> Facts:
        """Give the shares of the classes, as words."""
        classes = counts.get("classes", {})
        tokens = sum(one["tokens"] for one in classes.values())
        shares = [
            (name, f"{one['tokens'] / max(tokens, 1):.1%} ({one['tokens']:,} tokens)") for name, one in classes.items()
        ]
        return [("checkpoints", f"{len(counts.get('curves', {}))}"), ("tokens", f"{tokens:,}"), *shares, ("page", PAGE)]
