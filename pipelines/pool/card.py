"""What `pool` tells people of an artifact."""

from pipelines.counts import Counts
from pipelines.run.card import Card, Facts, read_of, unused_of, words_of


class PoolCard(Card):
    tag = "pool"
    columns = (
        "`record` is the row as it was read (JSON), `content` a digest of what is said in it, `place` where its file "
        "has it."
    )

    def what(self, recipe: dict) -> str:
        return "A pool of examples to select from, made by `gristmill run select`."

    def facts(self, recipe: dict, counts: Counts) -> Facts:
        carries = counts.get("carries")
        return [
            ("examples", f"{counts.get('kept', {}).get('examples', 0):,}"),
            *read_of(counts),
            *([("with more than what is said", words_of(carries))] if carries else []),
            *unused_of(counts),
            ("rejected", words_of(counts.get("rejected", {}).get("document", {}))),
        ]
