"""What `pack` tells people of an artifact."""

from operators.tokens.rows import Packing
from pipelines.counts import Counts
from pipelines.run.card import Card, Facts, read_of, words_of


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
            ("rejected", words_of(counts.get("rejected", {}).get("document", {}))),
        ]
