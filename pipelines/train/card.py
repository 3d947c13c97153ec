"""What training tells people of an artifact."""

from pipelines.counts import Counts

COLUMNS = (
    "`data/` has a row per optimizer step: losses in nats, learning rate, norm of the gradient, tokens read and trained on, "
    "tokens/s, MFU. `checkpoints/` has models in Hugging Face format."
)


def facts(run: dict, counts: Counts) -> list[tuple[str, str]]:
    """Give the totals that matter, as words: tokens are counted both ways, read and trained on."""
    tokens, model = counts.get("tokens", {}), run["config"]["model"]
    read, trained = tokens.get("read", 0), tokens.get("trained", 0)
    share = f" ({trained / read:.1%})" if read else ""
    lora = run["config"].get("lora") or {"rank": None}  # artifacts of earlier versions have none
    return [
        ("model", model["path"] or model["preset"] or "{layers} layers, {heads} heads, width {width}".format(**model)),
        *([("adapters", f"LoRA of rank {lora['rank']} on {', '.join(lora['targets'])}")] if lora["rank"] else []),
        ("loss", (run["config"].get("loss") or {}).get("name", "cross_entropy")),
        ("steps", f"{counts.get('kept', {}).get('steps', 0):,} of {run['splits'][0].rpartition('-')[2]}"),
        ("tokens", f"{read:,} read, {trained:,} trained on{share}"),
    ]
