"""What training tells people of an artifact."""

from pipelines.counts import Counts
from pipelines.run.card import Card, Facts


class ReferenceCard(Card):
    tag = "reference"
    columns = (
        "`data/` has a row per optimizer step: losses in nats (null where a step had no target), learning rate, norm of the "
        "gradient, tokens read and trained on, tokens/s, MFU. `checkpoints/` has models in Hugging Face format."
    )

    def what(self, recipe: dict) -> str:
        return f"A language model, trained with `gristmill run {recipe['pipeline']}`."

    def facts(self, recipe: dict, counts: Counts) -> Facts:
        """Give the totals that matter, as words: tokens are counted both ways, read and trained on."""
        tokens, model = counts.get("tokens", {}), recipe["config"]["model"]
        read, trained = tokens.get("read", 0), tokens.get("trained", 0)
        share = f" ({trained / read:.1%})" if read else ""
        lora = recipe["config"].get("lora") or {"rank": None}  # artifacts of earlier versions have none
        return [
            (
                "model",
                model["path"] or model["preset"] or "{layers} layers, {heads} heads, width {width}".format(**model),
            ),
            *([("adapters", f"LoRA of rank {lora['rank']} on {', '.join(lora['targets'])}")] if lora["rank"] else []),
            ("loss", (recipe["config"].get("loss") or {}).get("name", "cross_entropy")),
            ("steps", f"{counts.get('kept', {}).get('steps', 0):,} of {recipe['splits'][0].rpartition('-')[2]}"),
            ("tokens", f"{read:,} read, {trained:,} trained on{share}"),
            *self._without_target(counts),
        ]

    def _without_target(self, counts: Counts) -> Facts:
        steps = counts.get("without_target", 0)
        return (
            [("steps without a target", f"{steps:,}: nothing was learned in them, their loss is null")] if steps else []
        )


class PretrainCard(ReferenceCard):
    tag = "pretrain"
