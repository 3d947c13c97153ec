"""`make quickstart`: rephrase real text with real vLLM on this machine, from nothing but what Python brings.

Makes the input (documentation strings of the standard library) and the demonstration model, unless they are there, runs
configs/rephrase/quickstart.yaml and shows five rewrites beside their sources.
"""

import json
import os
import textwrap
from pathlib import Path

from operators.errors import BadRequest
from operators.models.demo_model import docstrings, make_demo_model
from operators.storage.config import StorageConfig
from operators.storage.place import Place
from operators.table import ORIGINAL
from pipelines.config import compose
from pipelines.exits import guarded
from pipelines.rephrase.job import RephraseJob

CONFIG = "configs/rephrase/quickstart.yaml"
SHOWN = 5


def main() -> None:
    """Run the quickstart from the repository's root."""
    if not Path(CONFIG).is_file():
        raise BadRequest(f"there is no {CONFIG} here. Run the quickstart in the repository's root.")
    job = compose(RephraseJob, CONFIG, [])
    # Threads that spin while they wait would make the training ten times slower where another program wants a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    write_documents(Path(job.input.path))
    make_demo_model(Path(job.engine.vllm["model"]))

    from pipelines.rephrase.pipeline import run_rephrase

    run_rephrase(job)
    show_pairs(job.output.path)
    print(
        f"\nA demonstration: a tiny model trained here a moment ago wrote this. The result is in {job.output.path}/data"
    )


def write_documents(path: Path) -> None:
    """Write the documentation strings as JSON lines, once."""
    if not path.exists():
        lines = [json.dumps(document) for document in docstrings()]
        Place(str(path.parent), StorageConfig()).publish(path.name, ("\n".join(lines) + "\n").encode())


def show_pairs(output: str) -> None:
    """Print some sources and what became of them."""
    import pyarrow.parquet as pq

    place = Place(output, StorageConfig())
    rows = (row for name in place.names("data") for row in pq.read_table(place.open(name)).to_pylist())
    rewrites = sorted((row for row in rows if row["style"] != ORIGINAL), key=lambda row: row["id"])
    for row in rewrites[:SHOWN]:
        similarity = "" if row["similarity"] is None else f", similarity {row['similarity']:.2f}"
        print(f"\n{row['style']}{similarity}")
        for name, text in (("source", row["source_text"]), ("rewrite", row["text"])):
            print(textwrap.fill(" ".join(text.split()), 110, initial_indent=f"  {name:8} ", subsequent_indent=" " * 11))


if __name__ == "__main__":
    guarded(main)
