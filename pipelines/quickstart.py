"""`make quickstart`: real English, a real model and real vLLM on this machine, from nothing but what is installed.

Unpacks the model where it is not there yet, runs configs/rephrase/quickstart.yaml, and shows rewrites beside their sources as
soon as they are committed, then what the check of faithfulness threw away, and where all of it lies.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster import log
from operators.errors import BadRequest
from operators.models.smollm2 import unpack_smollm2
from operators.storage.config import StorageConfig
from operators.storage.place import Place
from operators.table import ORIGINAL
from pipelines.config import compose
from pipelines.exits import guarded
from pipelines.ledger.reading import data_parts
from pipelines.rephrase.job import RephraseJob

CONFIG = "configs/rephrase/quickstart.yaml"
SHOWN = 5
LOOK_S = 0.5


def main() -> None:
    """Run the quickstart from the repository's root."""
    if not Path(CONFIG).is_file():
        raise BadRequest(f"there is no {CONFIG} here. Run the quickstart in the repository's root.")
    log.begin()
    job = compose(RephraseJob, CONFIG, [])
    unpack_smollm2(Path(job.engine.vllm["model"]))

    from pipelines.rephrase.pipeline import run_rephrase

    place = Place(job.output.path, StorageConfig())
    with showing_rewrites(place):
        run_rephrase(job)
    show_thrown_away(place)
    print(f"\nThe rewrites lie in {job.output.path}/data/, what was thrown away in {job.output.path}/rejected/.")
    print(f"What was asked for stands in {CONFIG}, the passages beside it. The same command resumes.")


@contextmanager
def showing_rewrites(place: Place) -> Iterator[None]:
    """Print the first rewrites of an artifact as they are committed, from a thread of its own; the last of them at the end."""
    over = threading.Event()
    thread = threading.Thread(target=_show_rewrites, args=(place, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _show_rewrites(place: Place, over: threading.Event) -> None:
    seen, left, last = set(), SHOWN, False
    while left and not last:
        last = over.wait(LOOK_S)
        fresh = sorted((data_parts(place) or set()) - seen)
        seen.update(fresh)
        rewrites = [row for row in _rows(place, fresh) if row["style"] != ORIGINAL]
        for row in rewrites[:left]:
            _show(row, "kept" if row["similarity"] is None else f"kept, similarity {row['similarity']:.2f}")
        left -= len(rewrites[:left])


def show_thrown_away(place: Place) -> None:
    """Print a rewrite that the check of faithfulness threw away for each of its reasons."""
    rows = [row for row in _rows(place, place.names("rejected")) if row["stage"] == "faithful"]
    first: dict[str, dict] = {}
    for row in rows:
        first.setdefault(row["reason"], row)
    for row in first.values():
        _show(row, f"thrown away, {row['reason']}: {row['detail']}")


def _rows(place: Place, names: list[str]) -> Iterator[dict]:
    import pyarrow.parquet as pq

    for name in names:
        with place.open(name) as file:
            yield from pq.read_table(file).to_pylist()


def _show(row: dict, verdict: str) -> None:
    """Print a rewrite beside its source."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("source", "rewrite", box=box.SIMPLE)
    table.add_row(Text(row["source_text"]), Text(row["text"]))
    console = Console()
    with console.capture() as columns:
        console.print(table)
    # Printed as text: what lives on the screen (a line of progress) makes way for print, not for a console of ours.
    print(f"\n{row['document_id']} · {verdict}{columns.get().rstrip()}")


if __name__ == "__main__":
    guarded(main)
