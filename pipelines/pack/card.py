"""What `pack` tells people of an artifact."""

from operators.tokens.rows import Packing
from pipelines.counts import Counts
from pipelines.run.card import Card, Facts, read_of, unused_of, words_of


class PackCard(Card):
    tag = "pack"
    data_files = "data/*.arrow"
    columns = (
        "Arrow files, which can be memory-mapped. Columns: `id`, `tokens`, `starts` (where a document begins), `targets` (false "
        "for padding and prompts). The schema's metadata says window, tokenizer and context policy."
    )

    def what(self, recipe: dict) -> str:
        return "Documents as rows of tokens of one length, made with `gristmill run pack`."

    def facts(self, recipe: dict, counts: Counts) -> Facts:
        packing = Packing(**recipe["fingerprint"]["packing"])
        rows, tokens = counts.get("kept", {}).get("packed", 0), counts.get("tokens", 0)
        places = max(rows * packing.window, 1)
        context = "from one document to the next" if packing.cross_document else "of its own for each document"
        return [
            *read_of({"documents": 0} | counts),
            ("tokens", f"{tokens:,}, end of documents included"),
            ("rows", f"{rows:,} of {packing.window:,} tokens, {1 - tokens / places:.2%} padding"),
            ("context", context),
            *self._of_examples(recipe, counts),
            ("rejected", words_of(counts.get("rejected", {}).get("document", {}))),
        ]

    def left_out(self, recipe: dict, counts: Counts) -> Facts:
        rejected = counts.get("rejected", {}).get("document", {})
        examples = self._of_examples(recipe, counts) if counts.get("longer") else self._of_examples(recipe, counts)[1:]
        return [*examples, *([("rejected", words_of(rejected))] if rejected else [])]

    def _of_examples(self, recipe: dict, counts: Counts) -> Facts:
        """Tell of examples that are longer than a row, and of what has no place."""
        pack = recipe["config"]["pack"]
        if not pack["template"]:
            return []
        longer = counts.get("longer", {})
        what = f"{sum(longer.values()):,} ({words_of(longer)})" if longer else "none"
        told = [("examples longer than a row", what)]
        if unplaced := counts.get("unplaced"):
            told.append((f"left out, as template {pack['template']} has no place for it", words_of(unplaced)))
        return [*told, *unused_of(counts)]
