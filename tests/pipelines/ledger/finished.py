"""A small finished artifact, made by the writer and the ledger without Ray: four documents in two splits, in two styles."""

from operators.storage.base import END
from operators.storage.place import Place
from operators.table import ORIGINAL
from pipelines.flow.orders.order import Order
from pipelines.flow.orders.writer import write_orders
from pipelines.ledger.lease import myself, release
from pipelines.ledger.records import State
from pipelines.ledger.tenure import Tenure, claim, sweep
from pipelines.rephrase.rows import form
from tests.rows import completed

FORM = form(stitched=False)
SPLITS = ["a.jsonl:0-100", "b.jsonl:0-100"]
RUN = {
    "fingerprint": {"styles": ["qa", "easy"], "temperature": 0.5, "chunk.max_tokens": 300},
    "config": {},
    "input": {"a.jsonl": [100, "1"], "b.jsonl": [100, "1"]},
    "splits": SPLITS,
    "all_at_once": False,
}


def row(split: str, position: int, style: str | None, chunk: int | None = 0, **columns) -> dict:
    place = f"{split[0]}{position}"
    own = {"id": f"{place}-{style}-{chunk}", "document_id": place, "style": style, "chunk_index": chunk}
    text = {"text": f"text of {place}", "source_text": f"source of {place}", "source_tokens": 4, "prompt_tokens": 9}
    return own | text | {"source_file": split.rpartition(":")[0], "position": position} | columns


def rows_of(split: str, position: int, **failing: dict) -> list[dict]:
    """Give the rows of one document of one chunk; `failing` says what is otherwise with a style's row."""
    rewrites = [row(split, position, style, **failing.get(style, {})) for style in ("qa", "easy")]
    return [row(split, position, ORIGINAL, None), *rewrites]


def order(split: str, begin: int, end: int, rows: list[dict]) -> Order:
    return Order(split, ((begin, 0), (end, 0)), completed(*rows))


FAILED = {"stage": "rephrase", "reason": "timeout", "detail": "no answer", "text": None}
REFUSED = {"stage": "clean", "reason": "refusal"}


def artifact(place: Place) -> Tenure:
    """Make it: one unit of the first split failed, another was refused; each split has two commits."""
    tenure = claim(place, None, State(), myself(), RUN)
    first, second = SPLITS
    pieces = [
        order(first, 0, 10, rows_of(first, 0, qa=FAILED)),
        order(first, 10, END, rows_of(first, 10, easy=REFUSED)),
        order(second, 0, 10, rows_of(second, 0)),
        order(second, 10, END, rows_of(second, 10)),
    ]
    for number, piece in enumerate(pieces):
        write_orders(tenure.ledger, FORM, f"w-{number}", [piece])
    tenure.fold(at_least=1)
    sweep(tenure)
    release(tenure.ledger, swept=True)
    return tenure
