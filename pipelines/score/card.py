"""What `score` tells people of an artifact."""

from pipelines.counts import Counts

COLUMNS = (
    "Arrow files, aligned to those of the packed rows by `id` and `checksum` (of a row's tokens). `reference_loss` is "
    "-log P(token | what stands before it) in nats, NaN where nothing is predicted; with several references "
    "there is a column for each, `reference_loss_1` and on."
)


def facts(run: dict, counts: Counts) -> list[tuple[str, str]]:
    """Give the totals that matter, as words."""
    window, rows = run["fingerprint"]["packing"]["window"], counts.get("kept", {}).get("scored", 0)
    reference = run["config"]["reference"]
    return [
        ("references", ", ".join(reference["models"]) or reference["openai"]["model"]),
        ("columns", ", ".join(run["fingerprint"]["columns"])),
        ("rows", f"{rows:,} of {window:,} tokens: {rows * window:,} tokens"),
    ]
