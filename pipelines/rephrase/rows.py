"""The rows that `rephrase` makes: their columns, what is counted of them, and what the reasons mean for which they leave."""

import pyarrow as pa
import pyarrow.compute as pc

from operators.table import ORIGINAL, text_tokens
from pipelines.counts import Counts
from pipelines.flow.orders.rows import Form
from pipelines.ledger.units import Units
from pipelines.reasons import Reasons

STAGE = "rephrase"
MORE_TOKENS = "Raise max_tokens, or have the model think less."
REASONS = Reasons(
    asking=(STAGE,),
    judging=("clean", "faithful"),
    later=("mix",),
    no_whole_answer=frozenset({"clean/truncated", "clean/only_reasoning", "clean/empty"}),
    advice={
        f"{STAGE}/no_room": "Lower max_tokens: the prompts alone fit the model.",
        f"{STAGE}/too_long": "Lower chunk.max_tokens, or take a model with a longer context.",
        "clean/truncated": MORE_TOKENS,
        "clean/only_reasoning": MORE_TOKENS,
        "clean": "If the rule is wrong here: clean.{rule}=false.",
    },
)
DATA = pa.schema(
    [
        ("id", pa.string()),
        ("document_id", pa.string()),
        ("chunk_index", pa.int32()),
        ("style", pa.string()),
        ("text", pa.large_string()),
        ("source_text", pa.large_string()),
        ("model", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("finish_reason", pa.string()),
        ("similarity", pa.float32()),
        ("metadata", pa.large_string()),
    ]
)


def form(stitched: bool) -> Form:
    """Give the form of the rows; a row that is stitched together of a document's chunks is not made again alone."""
    return Form(Units("style", REASONS.asking, whole_commits=stitched, beside=ORIGINAL), DATA, count=count)


def count(rows: pa.Table) -> Counts:
    """Count the repairs, and the tokens of real and of synthetic text that are kept."""
    kept = rows.filter(pc.is_null(rows["reason"]))
    real = pc.equal(kept["style"], ORIGINAL).to_numpy(zero_copy_only=False)
    tokens = text_tokens(kept)
    return {
        "repaired": _tally_words(rows["repaired"]) if "repaired" in rows.column_names else {},
        "tokens": {"real": round(tokens[real].sum()), "synthetic": round(tokens[~real].sum())},
    }


def _tally_words(column: pa.ChunkedArray) -> dict[str, int]:
    words = [word for cell in column.drop_null().to_pylist() for word in cell.split(",")]
    return {word: words.count(word) for word in dict.fromkeys(words)}
